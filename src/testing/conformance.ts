/** One promise of an interface, as a check that any test runner can run. */
export interface ConformanceTest {
  /** The promise, as a sentence. */
  readonly name: string
  /** Checks it; rejects with an error that says what was found instead. May be called as a bare function. */
  run(this: void): Promise<void>
}

/** Throws an error with this message unless the condition holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message)
}

/** Throws unless both byte arrays have the same bytes. `what` names them in the message. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert(actual.length === expected.length, `${what}: ${actual.length} bytes instead of ${expected.length}`)
  for (let i = 0; i < expected.length; i++) {
    assert(actual[i] === expected[i], `${what}: byte ${i} is ${actual[i]} instead of ${expected[i]}`)
  }
}

/**
 * Throws unless the call throws.
 *
 * @returns what it threw
 */
export function assertThrows(call: () => unknown, what: string): unknown {
  let result: unknown
  try {
    result = call()
  } catch (error) {
    return error
  }
  throw new Error(`${what}: should have thrown and returned ${String(result)}`)
}

/**
 * Rejects unless the promise that `call` returns rejects; that `call` throws does not count.
 *
 * @returns the reason
 */
export async function assertRejects(call: () => Promise<unknown>, what: string): Promise<unknown> {
  const promise = call()
  let result: unknown
  try {
    result = await promise
  } catch (error) {
    return error
  }
  throw new Error(`${what}: should have rejected and resolved with ${String(result)}`)
}
