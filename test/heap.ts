// How much memory things take, for tests.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** The bytes of all that is alive, buffers outside of the heap included. */
export function heapBytes(): number {
  for (let i = 0; i < 3; i++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** By how many bytes each of `count` calls made the heap grow. What they compile is part of it: count in hundreds. */
export function bytesEach(count: number, make: () => void): number {
  const beforeBytes = heapBytes()
  for (let i = 0; i < count; i++) make()
  return (heapBytes() - beforeBytes) / count
}
