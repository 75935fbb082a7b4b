import { RecentNumbers } from './recent-numbers.js'

const HOSTS_MAX = 8192

/** What is kept of a host: how many requests it had left when it asked last. */
const ALLOWANCE = 0
const NUMBERS = 1

/** A token bucket for each host: `perSecond` requests a second, up to `burst` at once. */
export class RateLimit {
  readonly #perSecond: number
  readonly #burst: number
  readonly #hosts: RecentNumbers

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = burst
    // After so long without a request an allowance is full again, as that of a host that was never heard of.
    this.#hosts = new RecentNumbers((1000 * burst) / perSecond, HOSTS_MAX, NUMBERS)
  }

  /** Whether the host may ask once more now. */
  allows(host: string, nowMs: number): boolean {
    const allowance = this.#allowance(host, nowMs)
    const allowed = allowance >= 1
    this.#hosts.set(this.#hosts.touch(host, nowMs), ALLOWANCE, allowed ? allowance - 1 : allowance)
    return allowed
  }

  #allowance(host: string, nowMs: number): number {
    const slot = this.#hosts.find(host, nowMs)
    if (slot < 0) return this.#burst
    const regained = ((nowMs - this.#hosts.touchedMs(slot)) * this.#perSecond) / 1000
    return Math.min(this.#burst, this.#hosts.get(slot, ALLOWANCE) + regained)
  }
}
