import { SALT_BYTES_MAX } from '../../index.js'
import { keyFrom } from '../arguments.js'
import type { Call, Command } from '../command.js'
import { counted, formatMs } from '../formats.js'
import { SESSION_OPTIONS, withSession } from '../session.js'
import { STATUS } from '../status.js'
import { giveValue, OUTPUT_OPTIONS } from '../values.js'

/** Resolves a public key. */
export const resolveCommand: Command = {
  name: 'resolve',
  operands: [{ name: 'PUBLIC_KEY' }],
  summary: 'resolves a public key to the value that was published last',
  details: [
    'Asks all of the nearest nodes, takes the value with the highest sequence number whose signature is right, and writes it to stdout. Exit status 3: none of them has one.',
  ],
  options: {
    salt: { value: 'TEXT', says: 'the salt that it was published with' },
    ...OUTPUT_OPTIONS,
    ...SESSION_OPTIONS,
  },
  examples: [
    [
      'xorbit resolve d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      'prints what was published last',
    ],
  ],
  async run(call: Call): Promise<number> {
    const { given, output, signal } = call
    const publicKey = keyFrom('PUBLIC_KEY', given.operands[0] as string)
    const salt = given.bytes('salt', SALT_BYTES_MAX)
    return withSession(call, async (dht) => {
      const found = await dht.resolve(publicKey, { salt, signal })
      if (!found) {
        output.warn('nobody has a value of this public key')
        return STATUS.notFound
      }
      const { value, ...rest } = found
      const told = await giveValue(call, value)
      if (output.isJson) await output.json({ publicKey, ...told, ...rest })
      const { seq, messages, elapsedMs } = rest
      output.say(`sequence number ${seq}, ${counted(messages, 'message')}, ${formatMs(elapsedMs)}`)
      return STATUS.done
    })
  },
}
