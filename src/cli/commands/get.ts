import { keyFrom } from '../arguments.js'
import type { Call, Command } from '../command.js'
import { counted, formatBytes, formatMs } from '../formats.js'
import { SESSION_OPTIONS, withSession } from '../session.js'
import { STATUS } from '../status.js'
import { giveValue, OUTPUT_OPTIONS } from '../values.js'

/** Gets a value. */
export const getCommand: Command = {
  name: 'get',
  operands: [{ name: 'KEY' }],
  summary: 'gets the value of a key',
  details: [
    'Writes the value to stdout, byte for byte, after it was verified against KEY, which put printed. With --json the value is valueBase64. Exit status 3: the nodes that should have it answered, and have it not; 4: too few answered to say so.',
  ],
  options: { ...OUTPUT_OPTIONS, ...SESSION_OPTIONS },
  examples: [
    ['xorbit get 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', 'prints the value of that key'],
    ['xorbit get -o photo.jpg 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', 'writes it to a file'],
  ],
  async run(call: Call): Promise<number> {
    const { given, output, signal } = call
    const key = keyFrom('KEY', given.operands[0] as string)
    return withSession(call, async (dht) => {
      const found = await dht.get(key, {
        signal,
        onProgress: ({ bytes, bytesTotal }) => output.progress('fetched', bytes, bytesTotal),
      })
      if (!found) {
        output.warn('nobody has a value of this key')
        return STATUS.notFound
      }
      const { value, ...costs } = found
      const told = await giveValue(call, value)
      if (output.isJson) await output.json({ key, ...told, ...costs })
      const { hops, messages, elapsedMs } = costs
      output.say(
        `${formatBytes(value.length)} after ${counted(hops, 'hop')}, ${counted(messages, 'message')}, ${formatMs(elapsedMs)}`,
      )
      return STATUS.done
    })
  },
}
