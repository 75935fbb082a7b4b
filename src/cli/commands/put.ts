import { toHex } from '../../index.js'
import type { Call, Command } from '../command.js'
import { counted, formatBytes, formatMs } from '../formats.js'
import { SESSION_OPTIONS, withSession } from '../session.js'
import { STATUS } from '../status.js'
import { STAY_OPTIONS, stayIfAsked, storingOf } from '../stay.js'
import { readValue, VALUE_OPTIONS } from '../values.js'

/** Stores a value. */
export const putCommand: Command = {
  name: 'put',
  operands: [{ name: 'FILE', isOptional: true }],
  summary: 'stores a value and prints its key',
  details: [
    'The value is what FILE holds, or stdin without FILE or with -, at most 1 MiB. The key, 64 hex digits, is made of the value: whoever gets the value can tell that it is the right one. The nodes nearest to the key keep it for its lifetime; nothing can be withdrawn.',
  ],
  options: { ...VALUE_OPTIONS, ...STAY_OPTIONS, ...SESSION_OPTIONS },
  examples: [
    ['xorbit put photo.jpg', 'stores a file through the node of this machine'],
    ["echo hello | xorbit put --bootstrap '203.0.113.7:7400'", 'stores what another program prints'],
  ],
  async run(call: Call): Promise<number> {
    const { given, output, signal } = call
    const storing = storingOf(call)
    const value = await readValue(call, given.operands[0])
    return withSession(call, async (dht) => {
      const result = await dht.put(value, {
        ...storing,
        signal,
        onProgress: ({ bytes, bytesTotal }) => output.progress('stored', bytes, bytesTotal),
      })
      const { key, parts, replicasMin, messages, elapsedMs } = result
      if (output.isJson) await output.json({ bytes: value.length, ...result })
      else await output.line(toHex(key))
      const where = parts === 1 ? counted(replicasMin, 'node') : `${counted(replicasMin, 'node')} or more`
      output.say(
        `${formatBytes(value.length)} in ${counted(parts, 'record')} at ${where}, ${counted(messages, 'message')}, ${formatMs(elapsedMs)}`,
      )
      await stayIfAsked(call, dht)
      return STATUS.done
    })
  },
}
