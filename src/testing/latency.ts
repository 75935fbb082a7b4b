import type { SeededRandom } from './random.js'

/** Where a host stands in a latency model: numbers that only the model reads. */
export type Place = readonly number[]

/**
 * How long datagrams travel. A model gives each host a place once and computes the delay of a pair from the two
 * places, so that it depends on the pair alone, never on the order of messages. To keep traces equal on every
 * engine, use + - * / and comparisons only.
 */
export interface LatencyModel {
  /**
   * Gives a host its place; asked once for each IP address.
   *
   * @param host - the host without its port, such as `'41.0.0.7'`
   * @param random - a stream that belongs to this host and this purpose
   */
  place(host: string, random: SeededRandom): Place

  /** The delay of one direction in milliseconds, equal both ways. */
  oneWayMs(a: Place, b: Place): number
}

/** Every datagram takes `ms`, half a round trip. */
export function fixedLatency(ms: number): LatencyModel {
  requireDelay('ms', ms)
  return { place: () => [], oneWayMs: () => ms }
}

/** Each pair of hosts has one delay of `minMs` to `maxMs` a direction, all equally likely. */
export function uniformLatency({ minMs, maxMs }: { minMs: number; maxMs: number }): LatencyModel {
  requireDelay('minMs', minMs)
  requireDelay('maxMs', maxMs)
  if (maxMs < minMs) throw new RangeError('maxMs must not be below minMs')
  return {
    place: (_host, random) => [random.float()],
    oneWayMs: (a, b) => minMs + (maxMs - minMs) * pairDraw(a[0] as number, b[0] as number),
  }
}

/** The parameters of {@link regionalLatency}. */
export interface RegionalLatencyOptions {
  /** The typical round trip between two regions' backbones, by the regions' indices; symmetric. */
  readonly rttMs: readonly (readonly number[])[]
  /** Which share of the hosts lives in each region; they need not add up to 1. */
  readonly shares: readonly number[]
  /**
   * The distribution of what a host's own line adds to each of its round trips, as quantiles from 0 to 1, straight
   * lines between them: `[[0, 2], [0.5, 8], [1, 200]]` is a median of 8 ms.
   */
  readonly accessMs: readonly (readonly [quantile: number, ms: number])[]
  /** By which factors a pair's path may be shorter or longer than the typical one. */
  readonly pathFactor: readonly [min: number, max: number]
}

/** Hosts live in regions: a pair's delay is that of its regions' path, varied by pair, and of both lines. */
export function regionalLatency(options: RegionalLatencyOptions): LatencyModel {
  const { rttMs, shares, accessMs, pathFactor } = options
  if (rttMs.length !== shares.length || rttMs.some((row) => row.length !== shares.length)) {
    throw new RangeError('rttMs must have a row and a column for each of the shares')
  }
  if (rttMs.some((row, i) => row.some((ms, j) => !(ms >= 0) || ms !== rttMs[j]?.[i]))) {
    throw new RangeError('rttMs must be symmetric and not negative')
  }
  if (accessMs[0]?.[0] !== 0 || accessMs.at(-1)?.[0] !== 1)
    throw new RangeError('accessMs must run from quantile 0 to 1')
  const total = shares.reduce((sum, share) => sum + share, 0)
  const [minFactor, maxFactor] = pathFactor
  return {
    place(_host, random) {
      let drawn = random.float() * total
      let region = 0
      while (region < shares.length - 1 && drawn >= (shares[region] as number)) drawn -= shares[region++] as number
      return [region, atQuantile(accessMs, random.float()), random.float()]
    },
    oneWayMs(a, b) {
      const pathMs = rttMs[a[0] as number]?.[b[0] as number] as number
      const factor = minFactor + (maxFactor - minFactor) * pairDraw(a[2] as number, b[2] as number)
      // The lines first: their sum is the same both ways, to the last bit.
      return (pathMs * factor + ((a[1] as number) + (b[1] as number))) / 2
    },
  }
}

/**
 * The default: five regions (North America, Europe, Asia, South America, Oceania) with round trips such as the
 * public internet has between homes and servers: median 148 ms, 90 % below 290 ms, 99 % below 435 ms.
 */
export function internetLatency(): LatencyModel {
  return regionalLatency({
    rttMs: [
      [50, 95, 170, 140, 180],
      [95, 30, 200, 210, 280],
      [170, 200, 60, 320, 160],
      [140, 210, 320, 60, 300],
      [180, 280, 160, 300, 40],
    ],
    shares: [0.35, 0.4, 0.15, 0.06, 0.04],
    accessMs: [
      [0, 2],
      [0.5, 8],
      [0.9, 30],
      [0.98, 120],
      [1, 220],
    ],
    pathFactor: [0.7, 1.4],
  })
}

// The fraction of the sum of two uniform draws is uniform again, symmetric, and another one for each pair.
function pairDraw(a: number, b: number): number {
  const sum = a + b
  return sum < 1 ? sum : sum - 1
}

function atQuantile(table: readonly (readonly [number, number])[], quantile: number): number {
  for (let i = 1; i < table.length; i++) {
    const [toQuantile, toMs] = table[i] as readonly [number, number]
    const [fromQuantile, fromMs] = table[i - 1] as readonly [number, number]
    if (quantile < toQuantile)
      return fromMs + ((toMs - fromMs) * (quantile - fromQuantile)) / (toQuantile - fromQuantile)
  }
  return table.at(-1)?.[1] as number
}

function requireDelay(name: string, ms: number): void {
  if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY))
    throw new RangeError(`${name} must be a number of milliseconds, 0 or more`)
}
