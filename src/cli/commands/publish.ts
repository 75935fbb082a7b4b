import { SALT_BYTES_MAX, toHex, VALUE_BYTES_MAX } from '../../index.js'
import { unlessAborted } from '../abort.js'
import type { Call, Command } from '../command.js'
import { counted, formatMs } from '../formats.js'
import { readKeys } from '../key-file.js'
import { SESSION_OPTIONS, withSession } from '../session.js'
import { STATUS, UsageError } from '../status.js'
import { STAY_OPTIONS, stayIfAsked, storingOf } from '../stay.js'
import { readValue, VALUE_OPTIONS } from '../values.js'

/** Publishes a signed value. */
export const publishCommand: Command = {
  name: 'publish',
  operands: [{ name: 'FILE', isOptional: true }],
  summary: 'signs a value and stores it in the place of the one before',
  details: [
    'The value is what FILE holds, or stdin, at most 880 bytes: of a longer one publish the key that put printed. Prints the public key, under which resolve finds it. With --cas it is published only if that sequence number is held now, 0 for nothing; else the exit status is 5.',
  ],
  options: {
    key: { value: 'FILE', short: 'k', says: 'the key file, of xorbit keygen (required)' },
    salt: { value: 'TEXT', says: 'tells apart the values of one key pair, at most 64 bytes' },
    seq: { value: 'NUMBER', says: 'the sequence number (default: one more than the highest that is held)' },
    cas: { value: 'NUMBER', says: 'publish only if this sequence number is held now' },
    ...VALUE_OPTIONS,
    ...STAY_OPTIONS,
    ...SESSION_OPTIONS,
  },
  examples: [
    ["xorbit publish --key me.json --text 'https://example.org/'", 'points a name to an address'],
    [
      'xorbit put site.tar | xorbit publish --key me.json --stay',
      'points it to a longer value, and renews the pointer; put --stay would renew the value',
    ],
  ],
  async run(call: Call): Promise<number> {
    const { given, output, signal } = call
    const path = given.text('key')
    if (path === undefined) throw new UsageError('publish needs --key FILE')
    const keys = await unlessAborted(signal, readKeys(path))
    const options = {
      salt: given.bytes('salt', SALT_BYTES_MAX),
      seq: given.bigint('seq'),
      cas: given.bigint('cas'),
      ...storingOf(call),
    }
    const value = await readValue(call, given.operands[0], VALUE_BYTES_MAX)
    return withSession(call, async (dht) => {
      const result = await dht.publish(keys, value, { ...options, signal })
      const { seq, storedAt, messages, elapsedMs } = result
      const { publicKey } = keys
      if (output.isJson) await output.json({ publicKey, bytes: value.length, ...result })
      else await output.line(toHex(publicKey))
      output.say(
        `sequence number ${seq} at ${counted(storedAt.length, 'node')}, ${counted(messages, 'message')}, ${formatMs(elapsedMs)}`,
      )
      await stayIfAsked(call, dht)
      return STATUS.done
    })
  },
}
