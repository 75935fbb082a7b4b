import { open, rm } from 'node:fs/promises'
import type { KeyPair } from '../index.js'
import { fromHex, generateKeyPair, toHex } from '../index.js'
import { quoted } from './arguments.js'
import { UsageError } from './status.js'
import { readInput } from './values.js'

const KEY_FILE_BYTES_MAX = 4096

/** A key pair as it stands in a file. */
export function formatKeys({ publicKey, secretKey }: KeyPair): string {
  return `${JSON.stringify({ publicKey: toHex(publicKey), secretKey: toHex(secretKey) }, undefined, 2)}\n`
}

/** @throws UsageError when it can't be read, or holds no key pair */
export async function readKeys(path: string): Promise<KeyPair> {
  const text = new TextDecoder().decode(await readInput(path, KEY_FILE_BYTES_MAX))
  const isHex = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value)
  let read: { publicKey?: unknown; secretKey?: unknown } | null = null
  try {
    read = JSON.parse(text)
  } catch {
    // It is as if there were no keys in it.
  }
  if (!isHex(read?.secretKey)) throw new UsageError(`${quoted(path)} is no key file: make one with xorbit keygen`)
  const keys = generateKeyPair({ seed: fromHex(read.secretKey.toLowerCase()) })
  if (isHex(read.publicKey) && read.publicKey.toLowerCase() === toHex(keys.publicKey)) return keys
  throw new UsageError(`the keys in ${quoted(path)} don't belong together`)
}

/** Writes a key file that only its owner may read. @throws when there is one, which may be the only copy, or it can't */
export async function writeKeys(path: string, keys: KeyPair): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(formatKeys(keys))
      await file.sync()
    } catch (error) {
      // It was made here, and holds no key.
      await rm(path, { force: true })
      throw error
    } finally {
      await file.close()
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EEXIST')
      throw new UsageError(`${quoted(path)} is there already, and a key is never overwritten`, { cause: error })
    throw new Error(`${quoted(path)} can't be written: ${message}`, { cause: error })
  }
}
