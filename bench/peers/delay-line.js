// @ts-check
// Lets things happen a fixed time later, in the order in which they came, all of them by one timer.

/** Timers count in whole milliseconds: what is due within half of one is due. */
const EARLY_MS = 0.5

export class DelayLine {
  #delayMs
  /** @type {{ dueMs: number, action: () => void }[]} */
  #waiting = []
  #first = 0
  #isTimed = false

  /** @param {number} delayMs */
  constructor(delayMs) {
    this.#delayMs = delayMs
  }

  /** How many wait. */
  get length() {
    return this.#waiting.length - this.#first
  }

  /** @param {() => void} action */
  add(action) {
    this.#waiting.push({ dueMs: performance.now() + this.#delayMs, action })
    if (!this.#isTimed) this.#wait()
  }

  #wait() {
    const next = this.#waiting[this.#first]
    this.#isTimed = next !== undefined
    if (next === undefined) return
    setTimeout(() => this.#release(), Math.max(1, Math.round(next.dueMs - performance.now())))
  }

  #release() {
    const dueMs = performance.now() + EARLY_MS
    for (let next = this.#waiting[this.#first]; next !== undefined && next.dueMs <= dueMs; ) {
      this.#first++
      next.action()
      next = this.#waiting[this.#first]
    }
    // What is done leaves in bulk: a shift for each would move the whole queue.
    if (this.#first > 1024 || this.#first === this.#waiting.length) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
    this.#wait()
  }
}
