// @ts-check

/**
 * Does the work for every item, `atOnce` of them at a time. The first failure ends it; what is under way then is
 * waited for.
 *
 * @template T
 * @param {Iterable<T>} items
 * @param {number} atOnce
 * @param {(item: T) => Promise<unknown>} work
 */
export async function eachOf(items, atOnce, work) {
  const left = items[Symbol.iterator]()
  let hasFailed = false
  const takeTurns = async () => {
    for (let next = left.next(); !next.done && !hasFailed; next = left.next()) {
      try {
        await work(next.value)
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  const turns = await Promise.allSettled(Array.from({ length: atOnce }, takeTurns))
  for (const turn of turns) if (turn.status === 'rejected') throw turn.reason
}
