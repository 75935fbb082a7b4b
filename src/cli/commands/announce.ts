import { PEER_DATA_BYTES_MAX, toHex } from '../../index.js'
import { unlessAborted } from '../abort.js'
import { pointFrom } from '../arguments.js'
import type { Call, Command } from '../command.js'
import { counted, formatMs } from '../formats.js'
import { readKeys } from '../key-file.js'
import { SESSION_OPTIONS, withSession } from '../session.js'
import { STATUS } from '../status.js'

/** Announces a peer. */
export const announceCommand: Command = {
  name: 'announce',
  operands: [{ name: 'TOPIC' }],
  summary: 'announces this machine under a topic until Ctrl-C',
  details: [
    'TOPIC is 64 hex digits, or any other text, whose SHA-256 is taken. Others find the announcement with locate: the host is the one that they see this machine at. It is renewed until Ctrl-C, which withdraws it. Prints the public key of who announced itself.',
  ],
  options: {
    port: {
      value: 'PORT',
      short: 'p',
      says: 'where this machine is to be reached (default: the port of this program)',
    },
    data: { value: 'TEXT', short: 'd', says: 'what others are told beside, at most 200 bytes' },
    key: {
      value: 'FILE',
      short: 'k',
      says: 'who announces itself: a key file of xorbit keygen (default: a new key pair)',
    },
    for: { value: 'TIME', says: 'stop by itself after that, such as 90, 30m or 2h' },
    ...SESSION_OPTIONS,
  },
  examples: [
    ["xorbit announce my-app/room/1 --port 8080 --data 'alice'", 'is found there by xorbit locate my-app/room/1'],
  ],
  async run(call: Call): Promise<number> {
    const { given, output, ended, signal } = call
    const topic = pointFrom(given.operands[0] as string)
    const path = given.text('key')
    const forMs = given.durationMs('for')
    const options = {
      port: given.integer('port', 1, 65_535),
      data: given.bytes('data', PEER_DATA_BYTES_MAX),
      keys: path === undefined ? undefined : await unlessAborted(signal, readKeys(path)),
    }
    return withSession(call, async (dht) => {
      dht.on('republishFailed', ({ error }) => output.warn(`not renewed: ${error.message}`))
      const announcement = await dht.announce(topic, { ...options, signal })
      const { publicKey, storedAt, refused, hops, messages, elapsedMs } = announcement
      if (output.isJson) await output.json({ topic, publicKey, storedAt, refused, hops, messages, elapsedMs })
      else await output.line(toHex(publicKey))
      output.say(
        `announced at ${counted(storedAt.length, 'node')}, ${counted(messages, 'message')}, ${formatMs(elapsedMs)}; Ctrl-C withdraws it`,
      )
      let timer: NodeJS.Timeout | undefined
      const isOver = new Promise<void>((resolve) => {
        if (forMs !== undefined) timer = setTimeout(resolve, forMs)
      })
      await Promise.race([ended, isOver])
      clearTimeout(timer)
      const { removedAt } = await announcement.stop()
      output.say(`withdrawn from ${counted(removedAt.length, 'node')}`)
      return STATUS.done
    })
  },
}
