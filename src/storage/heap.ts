/**
 * A binary heap whose items know where they stand, so that any of them can be moved or removed in O(log n).
 * An item belongs to at most one heap for each `position` field; the field is -1 outside the heap.
 */
export class Heap<Field extends string, Item extends Record<Field, number>> {
  readonly #items: Item[] = []
  readonly #field: Field
  readonly #isBefore: (a: Item, b: Item) => boolean

  /**
   * @param field - the field in which an item keeps its place
   * @param isBefore - a strict order; items that it leaves equal come out in no particular order
   */
  constructor(field: Field, isBefore: (a: Item, b: Item) => boolean) {
    this.#field = field
    this.#isBefore = isBefore
  }

  /** How many items it holds. */
  get size(): number {
    return this.#items.length
  }

  /** The item that comes before all others. */
  first(): Item | undefined {
    return this.#items[0]
  }

  /** Adds an item that is not in it. */
  add(item: Item): void {
    this.#items.push(item)
    this.#rise(item, this.#items.length - 1)
  }

  /** Removes an item that is in it. */
  remove(item: Item): void {
    const at = item[this.#field]
    const last = this.#items.pop() as Item
    this.#place(item, -1)
    if (last === item) return
    this.#place(last, at)
    this.moved(last)
  }

  /** Restores the order after what `isBefore` reads of this one item has changed. */
  moved(item: Item): void {
    this.#rise(item, item[this.#field])
    this.#sink(item, item[this.#field])
  }

  #rise(item: Item, from: number): void {
    let at = from
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = this.#items[parentAt] as Item
      if (!this.#isBefore(item, parent)) break
      this.#place(parent, at)
      at = parentAt
    }
    this.#place(item, at)
  }

  #sink(item: Item, from: number): void {
    let at = from
    for (;;) {
      let childAt = 2 * at + 1
      if (childAt >= this.#items.length) break
      const right = this.#items[childAt + 1]
      if (right !== undefined && this.#isBefore(right, this.#items[childAt] as Item)) childAt++
      const child = this.#items[childAt] as Item
      if (!this.#isBefore(child, item)) break
      this.#place(child, at)
      at = childAt
    }
    this.#place(item, at)
  }

  #place(item: Item, at: number): void {
    if (at >= 0) this.#items[at] = item
    ;(item as Record<Field, number>)[this.#field] = at
  }
}
