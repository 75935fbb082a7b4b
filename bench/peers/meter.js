// @ts-check
// Counts what all nodes of this process send, and delays it, in the same way for every system: at its sockets.
// A message is a datagram, or one write to a TCP connection.

import { Socket as UdpSocket } from 'node:dgram'
import { Socket as TcpSocket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { DelayLine } from './delay-line.js'

/** How long a quiet network is waited for after an operation, in pauses: some systems always have something to say. */
const QUIET_WAITS_MAX = 10

export class Meter {
  messages = 0
  bytes = 0
  #delayMs
  #line
  #lastSentAtMs = 0

  /** @param {number} delayMs - added to each message on its way */
  constructor(delayMs) {
    this.#delayMs = delayMs
    this.#line = new DelayLine(delayMs)
  }

  /** Sends, now or later, and counts it. Whatever is thrown later is what a lost datagram is: nothing. */
  send(/** @type {number} */ bytes, /** @type {() => void} */ action) {
    this.messages++
    this.bytes += bytes
    this.#lastSentAtMs = performance.now()
    this.later(action)
  }

  /** @param {() => void} action - what a message does at its end of the way */
  later(action) {
    if (this.#delayMs === 0) action()
    else this.#line.add(action)
  }

  /**
   * Resolves when nothing was sent for a while, so that all that an operation caused has ended.
   *
   * @param {number} [maxMs] - when it resolves in any case
   */
  async quiet(maxMs, quietMs = this.#delayMs === 0 ? 50 : 200) {
    const endMs = performance.now() + (maxMs ?? QUIET_WAITS_MAX * quietMs)
    for (;;) {
      const nowMs = performance.now()
      const leftMs = this.#lastSentAtMs + quietMs - nowMs
      if ((leftMs <= 0 && this.#line.length === 0) || nowMs >= endMs) return
      await sleep(Math.max(1, Math.min(leftMs, endMs - nowMs)))
    }
  }

  /** @returns {{ atMs: number, messages: number, bytes: number, cpuMs: number }} */
  reading() {
    const { user, system } = process.cpuUsage()
    return { atMs: performance.now(), messages: this.messages, bytes: this.bytes, cpuMs: (user + system) / 1000 }
  }

  /** For systems on `node:dgram`. */
  watchDatagrams() {
    const meter = this
    const delayMs = this.#delayMs
    const { send } = UdpSocket.prototype
    /**
     * @this {UdpSocket}
     * @param {Uint8Array | Uint8Array[]} bytes
     * @param {unknown[]} rest - offset and length or neither, port, address, callback
     */
    function meteredSend(bytes, ...rest) {
      // A socket that is not bound yet calls itself again, with a list, when it is: that was counted.
      if (Array.isArray(bytes)) {
        Reflect.apply(send, this, [bytes, ...rest])
        return
      }
      const hasRange = typeof rest[1] === 'number'
      const length = hasRange ? /** @type {number} */ (rest[1]) : bytes.length
      meter.send(length, () => {
        try {
          Reflect.apply(send, this, [bytes, ...rest])
        } catch (error) {
          // A socket that was closed on the way sends nothing; without delay the caller is to know.
          if (delayMs === 0) throw error
        }
      })
    }
    UdpSocket.prototype.send = /** @type {typeof send} */ (/** @type {unknown} */ (meteredSend))
  }

  /**
   * For systems on udx-native.
   *
   * @param {{ prototype: UdxSends }} UdxSocket
   */
  watchUdx(UdxSocket) {
    const meter = this
    const { send, trySend } = UdxSocket.prototype
    UdxSocket.prototype.trySend = function (buffer, ...to) {
      meter.send(buffer.byteLength, () => trySend.call(this, buffer, ...to))
    }
    UdxSocket.prototype.send = function (buffer, ...to) {
      return new Promise((resolve) => {
        meter.send(buffer.byteLength, () => resolve(send.call(this, buffer, ...to)))
      })
    }
  }

  /** For systems on TCP: what is written arrives later, and so does the end; connecting takes a round trip longer. */
  watchStreams() {
    const meter = this
    const delayMs = this.#delayMs
    const prototype = /** @type {TcpWrites} */ (/** @type {unknown} */ (TcpSocket.prototype))
    const { _writeGeneric: write, _final: end, connect } = prototype
    prototype._writeGeneric = function (isMany, data, encoding, done) {
      // It calls itself again when it is connected, and is counted then.
      if (this.connecting) {
        write.call(this, isMany, data, encoding, done)
        return
      }
      const length = isMany
        ? /** @type {{ chunk: Uint8Array }[]} */ (data).reduce((sum, { chunk }) => sum + chunk.length, 0)
        : /** @type {Uint8Array} */ (data).length
      if (delayMs === 0) {
        meter.send(length, () => write.call(this, isMany, data, encoding, done))
        return
      }
      meter.send(length, () => {
        if (!this.destroyed) write.call(this, isMany, data, encoding, (error) => error && this.destroy(error))
      })
      // As a system does that has room in its buffers; else there would be one write on the way at a time.
      process.nextTick(done)
    }
    if (delayMs === 0) return
    prototype._final = function (done) {
      meter.later(() => (this.destroyed ? done() : end.call(this, done)))
    }
    prototype.connect = function (...options) {
      this.connecting = true
      const proceed = () => this.destroyed || connect.apply(this, options)
      meter.later(() => meter.later(proceed))
      return this
    }
  }
}

/**
 * @typedef {object} UdxSends
 * @property {(buffer: Uint8Array, ...to: unknown[]) => Promise<boolean>} send
 * @property {(buffer: Uint8Array, ...to: unknown[]) => void} trySend
 */

/**
 * @typedef {object} TcpWrites
 * @property {boolean} destroyed
 * @property {boolean} connecting
 * @property {(error?: Error) => void} destroy
 * @property {(isMany: boolean, data: unknown, encoding: string, done: (error?: Error) => void) => void} _writeGeneric
 * @property {(done: (error?: Error) => void) => void} _final
 * @property {(...options: unknown[]) => unknown} connect
 */
