// @ts-check
// Loaded into the program before it begins: `node --expose-gc --import collector.js main.js node`. When it is asked, it
// collects garbage and tells what the process takes. It ends the program with its parent, by SIGTERM.

import process from 'node:process'

/** @typedef {{ rssBytes: number, heapBytes: number, cpuMicros: number }} Taken */

process.on('message', () => {
  // Twice: what the first one finalizes is free after the second.
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  // Records are buffers, which are beside the heap.
  process.send?.({ rssBytes: rss, heapBytes: heapUsed + external, cpuMicros: user + system })
})
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// The program ends when it wants to.
process.channel?.unref()
