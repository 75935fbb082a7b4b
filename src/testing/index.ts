export type { ConformanceTest } from './conformance.js'
export {
  fixedLatency,
  internetLatency,
  type LatencyModel,
  type Place,
  type RegionalLatencyOptions,
  regionalLatency,
  uniformLatency,
} from './latency.js'
export { SeededRandom } from './random.js'
export {
  type RecordKindConformanceOptions,
  type RecordKindSample,
  recordKindConformance,
} from './record-kind-conformance.js'
export { type RecordStoreConformanceOptions, recordStoreConformance } from './record-store-conformance.js'
export { SimulatedHost } from './simulated-host.js'
export type { Datagram, Faults, NetworkStats } from './simulated-network.js'
export { SimulationError, type SimulationFailure, type SimulationPoint } from './simulation-error.js'
export { Simulator } from './simulator.js'
export type { SimulatedHostOptions, SimulatorOptions } from './simulator-options.js'
export { type TransportConformanceOptions, transportConformance } from './transport-conformance.js'
export { VIRTUAL_EPOCH_MS } from './virtual-clock.js'
