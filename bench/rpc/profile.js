// @ts-check
// Where processor time goes, by layer: V8's own sampling profiler, its samples counted by the file that was running.

import { Session } from 'node:inspector/promises'

const SAMPLE_MICROS = 200

/**
 * Profiles what `run` does.
 *
 * @param {() => Promise<void>} run
 * @returns {Promise<{ layers: Record<string, number>, functions: [name: string, micros: number][] }>} self time in
 *   microseconds by layer, and by function, longest first
 */
export async function profile(run) {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS })
  await session.post('Profiler.start')
  await run()
  const { profile: found } = await session.post('Profiler.stop')
  session.disconnect()
  const nodes = new Map(found.nodes.map((node) => [node.id, node.callFrame]))
  /** @type {Map<string, number>} */
  const layers = new Map()
  /** @type {Map<string, number>} */
  const functions = new Map()
  const { samples = [], timeDeltas = [] } = found
  samples.forEach((id, i) => {
    // The time from this sample to the next one belongs to it.
    const micros = Math.max(0, timeDeltas[i + 1] ?? 0)
    const { functionName, url, lineNumber } = /** @type {{ functionName: string, url: string, lineNumber: number }} */ (
      nodes.get(id)
    )
    const layer = layerOf(functionName, url)
    if (layer === 'idle') return
    add(layers, layer, micros)
    add(
      functions,
      `${functionName || '(anonymous)'} ${url.replace(/^.*\/(?=[^/]+\/[^/]+$)/, '')}:${lineNumber + 1}`,
      micros,
    )
  })
  const longestFirst = (/** @type {Map<string, number>} */ map) => [...map].sort(([, a], [, b]) => b - a)
  return { layers: Object.fromEntries(longestFirst(layers)), functions: longestFirst(functions).slice(0, 40) }
}

/**
 * @param {Map<string, number>} map
 * @param {string} name
 * @param {number} micros
 */
function add(map, name, micros) {
  map.set(name, (map.get(name) ?? 0) + micros)
}

/**
 * @param {string} functionName
 * @param {string} url
 */
function layerOf(functionName, url) {
  const ours = /\/dist\/(?:([\w-]+)\/)?[\w-]+\.js$/.exec(url)
  if (url.includes('/node_modules/')) return /\/node_modules\/(@[^/]+\/[^/]+|[^/]+)/.exec(url)?.[1] ?? url
  if (ours) return ours[1] ?? 'face'
  if (url.includes('/bench/')) return 'bench'
  if (functionName === '(idle)') return 'idle'
  if (functionName === '(garbage collector)') return 'gc'
  if (/dgram|udp/.test(url) || functionName === 'send' || functionName === '(program)') return 'dgram and libuv'
  return url.startsWith('node:') ? 'rest of node' : 'engine'
}
