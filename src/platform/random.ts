/**
 * A source of unpredictable bytes.
 *
 * @param length - how many bytes
 */
export type RandomBytes = (length: number) => Uint8Array
