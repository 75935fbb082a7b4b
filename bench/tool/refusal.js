// @ts-check

/** Something that the user got wrong: told in one line, without a stack. */
export class Refusal extends Error {}
