import { RecentNumbers } from './recent-numbers.js'

/** How long a host's allowance is remembered after its last request: by then it is full again. */
const REMEMBERED_MS = 60_000
const HOSTS_MAX = 8192

/** What is kept of a host: how many requests it has left, as of a time. */
const ALLOWANCE = 0
const AS_OF_MS = 1
const NUMBERS = 2

/** A token bucket for each host: `perSecond` requests a second, up to `burst` at once. */
export class RateLimit {
  readonly #perSecond: number
  readonly #burst: number
  readonly #hosts = new RecentNumbers(REMEMBERED_MS, HOSTS_MAX, NUMBERS)

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = burst
  }

  /** Whether the host may ask once more now. */
  allows(host: string, nowMs: number): boolean {
    const slot = this.#hosts.touch(host, nowMs)
    const before = this.#hosts.get(slot, ALLOWANCE)
    const regained = ((nowMs - this.#hosts.get(slot, AS_OF_MS)) * this.#perSecond) / 1000
    const allowance = Number.isNaN(before) ? this.#burst : Math.min(this.#burst, before + regained)
    const allowed = allowance >= 1
    this.#hosts.set(slot, ALLOWANCE, allowed ? allowance - 1 : allowance)
    this.#hosts.set(slot, AS_OF_MS, nowMs)
    return allowed
  }
}
