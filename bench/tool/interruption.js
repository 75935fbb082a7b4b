// @ts-check
// SIGINT and SIGTERM end a run in its own time, so that what has finished is kept. A terminal and npm may both send the
// one that the user meant: further ones are the same interruption.

import process from 'node:process'

/** The user ended the run. */
export class Interrupted extends Error {}

let isRaised = false
/** @type {Set<() => void>} */
const listeners = new Set()

/** From now on, until the process exits, signals do nothing but what is asked for here. */
export function catchSignals() {
  const raise = () => {
    isRaised = true
    for (const listener of listeners) listener()
  }
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, raise)
}

/** Throws when the run was interrupted: for every place where it may end. */
export function endIfInterrupted() {
  if (isRaised) throw new Interrupted()
}

/**
 * @param {() => void} listener - is called at each interruption, at once when there was one
 * @returns {() => void} ends it
 */
export function onInterruption(listener) {
  listeners.add(listener)
  if (isRaised) listener()
  return () => listeners.delete(listener)
}
