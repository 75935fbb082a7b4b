import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, lstat, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { LARGE_VALUE_BYTES_MAX, VALUE_BYTES_MAX } from '../index.js'
import { unlessAborted } from './abort.js'
import { quoted } from './arguments.js'
import type { Call, OptionSpecs } from './command.js'
import { formatBytes } from './formats.js'
import { UsageError } from './status.js'

/** Options of commands that take a value. */
export const VALUE_OPTIONS: OptionSpecs = {
  text: { value: 'TEXT', short: 't', says: 'the value itself, in the place of a file' },
}

/** Options of commands that give a value. */
export const OUTPUT_OPTIONS: OptionSpecs = {
  output: { value: 'FILE', short: 'o', says: 'write the value to this file' },
}

/**
 * The value that the user gave: a text, a file, or what stdin has.
 *
 * @param file - a path, `-` for stdin
 * @throws UsageError
 */
export async function readValue(
  { given, surroundings, signal }: Call,
  file: string | undefined,
  bytesMax: number = LARGE_VALUE_BYTES_MAX,
): Promise<Uint8Array> {
  const text = given.text('text')
  if (text !== undefined && file !== undefined) throw new UsageError('give a file or --text, not both')
  if (text !== undefined) {
    const value = new TextEncoder().encode(text)
    if (value.length > bytesMax) throw tooLarge('the text', bytesMax)
    return value
  }
  if (file !== undefined && file !== '-') return unlessAborted(signal, readInput(file, bytesMax))
  const { stdin } = surroundings
  if (stdin.isTTY && file === undefined) throw new UsageError('give a file, --text TEXT, or a value on stdin')
  const value = await unlessAborted(signal, readStream('what stdin has', stdin, bytesMax))
  // So it is when a command before failed, or stdin is closed.
  if (value.length === 0 && file === undefined) {
    throw new UsageError("stdin has nothing: give - or --text '' for a value of no bytes")
  }
  return value
}

/** A whole file. @throws UsageError */
export async function readInput(path: string, bytesMax: number): Promise<Uint8Array> {
  try {
    return await readStream(path, createReadStream(path), bytesMax)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${quoted(path)} can't be read: ${(error as Error).message}`, { cause: error })
  }
}

async function readStream(what: string, stream: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of stream) {
    parts.push(part)
    length += part.length
    if (length > bytesMax) throw tooLarge(what, bytesMax)
  }
  return new Uint8Array(Buffer.concat(parts))
}

function tooLarge(what: string, bytesMax: number): UsageError {
  const advice = bytesMax === VALUE_BYTES_MAX ? ': put it, and publish the key that put prints' : ''
  return new UsageError(`${what} has more than ${formatBytes(bytesMax)}${advice}`)
}

/** What machines are told of a value: its bytes, or where they are. */
export interface GivenValue {
  readonly bytes: number
  readonly valueBase64?: string
  readonly output?: string
}

/** Gives a value to the user: to the file that was asked for, else to stdout; for machines it is in what it returns. */
export async function giveValue({ given, output, signal }: Call, value: Uint8Array): Promise<GivenValue> {
  const bytes = value.length
  const path = given.text('output')
  if (path !== undefined && path !== '-') {
    await unlessAborted(signal, writeWhole(path, value))
    return { bytes, output: path }
  }
  if (output.isJson) return { bytes, valueBase64: Buffer.from(value).toString('base64') }
  if (path === undefined && output.isTerminal && !isText(value)) {
    throw new UsageError(`the value is not text: write it with --output FILE, or --output - for this terminal`)
  }
  await output.bytes(value)
  if (output.isTerminal && value.at(-1) !== 0x0a) await output.line('')
  return { bytes }
}

/** Why a file that is there can't be replaced by another one. */
const MAY_BE_IN_PLACE = ['EACCES', 'EPERM', 'EBUSY', 'EXDEV', 'EROFS']

/** Writes a file, which is there as a whole or as it was before, where that can be. @throws Error when it can't be written */
async function writeWhole(path: string, value: Uint8Array): Promise<void> {
  try {
    const before = await lstat(path).catch(() => undefined)
    // What is a link, a pipe, a device, known by other names too or somebody else's can't be replaced as it is.
    const isPlain = before === undefined || (before.isFile() && before.nlink === 1 && before.uid === process.getuid?.())
    if (!isPlain) return await writeFile(path, value)
    const partial = join(dirname(path), `.${randomBytes(8).toString('hex')}.part`)
    try {
      await writeFile(partial, value, { flag: 'wx' })
      if (before) await chmod(partial, before.mode)
      await rename(partial, path)
    } catch (error) {
      await rm(partial, { force: true })
      // Where there may be no other file there may be this one.
      if (!MAY_BE_IN_PLACE.includes(String((error as { code?: unknown }).code))) throw error
      await writeFile(path, value)
    }
  } catch (error) {
    throw new Error(`${quoted(path)} can't be written: ${(error as Error).message}`, { cause: error })
  }
}

/** Whether a terminal shows it as it is, and obeys nothing in it. */
function isText(bytes: Uint8Array): boolean {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what it looks for
    return !/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(text)
  } catch {
    return false
  }
}
