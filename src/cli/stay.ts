import type { Dht } from '../index.js'
import { toHex } from '../index.js'
import type { Call, OptionSpecs } from './command.js'

/** What holders grant at most. */
const LIFETIME_SECONDS_MAX = 48 * 3600

/** Options of commands that store something. */
export const STAY_OPTIONS: OptionSpecs = {
  lifetime: { value: 'TIME', says: 'how long it is to be kept, 1s to 48h (default: 24h)' },
  stay: { says: 'stay, and store it again before its lifetime ends, until Ctrl-C' },
}

/** What was asked of storing. */
export function storingOf({ given }: Call): { lifetimeMs: number | undefined; republish: boolean } {
  return { lifetimeMs: given.durationMs('lifetime', 1, LIFETIME_SECONDS_MAX), republish: given.flag('stay') }
}

/** Where the user wants it, keeps the node open until the user ends it. */
export async function stayIfAsked({ given, output, ended }: Call, dht: Dht): Promise<void> {
  if (!given.flag('stay')) return
  dht.on('republishFailed', ({ key, error }) => {
    output.warn(`${toHex(key)} could not be stored again: ${error.message}`)
  })
  output.say('staying, to store it again; Ctrl-C ends it')
  await ended
}
