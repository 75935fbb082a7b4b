import { generateKeyPair, toHex } from '../../index.js'
import type { Call, Command } from '../command.js'
import { formatKeys, writeKeys } from '../key-file.js'
import { STATUS } from '../status.js'

/** Makes a key pair. */
export const keygenCommand: Command = {
  name: 'keygen',
  operands: [],
  summary: 'makes a key pair to publish and announce with',
  details: [
    'Prints a key file: JSON with publicKey and secretKey, Ed25519, 64 hex digits each. Whoever has the secret key can publish in its name, and it can be neither revoked nor replaced: keep it secret, and keep a copy. The public key is the name to give to others.',
  ],
  options: {
    output: { value: 'FILE', short: 'o', says: 'write it to a new file that only you may read; never overwrites one' },
  },
  examples: [['xorbit keygen -o me.json', 'writes a new key pair to me.json, and prints its public key']],
  async run({ given, output }: Call): Promise<number> {
    const keys = generateKeyPair()
    const { publicKey } = keys
    const path = given.text('output')
    if (path === undefined) {
      if (output.isJson) await output.json(keys)
      else await output.bytes(new TextEncoder().encode(formatKeys(keys)))
      return STATUS.done
    }
    await writeKeys(path, keys)
    if (output.isJson) await output.json({ publicKey, output: path })
    else await output.line(toHex(publicKey))
    output.say(`${path} holds the secret key: keep it secret, and keep a copy`)
    return STATUS.done
  },
}
