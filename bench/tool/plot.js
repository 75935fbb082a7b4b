// @ts-check
// Plots as SVG, drawn without a browser.

/** @import { EChartsCoreOption } from 'echarts' */
/** @import { Plot, Series } from './suites.js' */

const SIZE = { width: 760, height: 440 }
const FONT = { fontFamily: 'sans-serif', color: '#333' }
/** Told apart by people who see few colours too (Okabe and Ito). */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999']
const LEGEND_ROW_PX = 22
/** With more of them, and names as long as ours, labels side by side run into each other. */
const LEVEL_LABELS_MAX = 6
/** More numbers than these have no room even when they are turned: some of them say what the others are. */
const NUMBERS_MAX = 40
const TURNED_DEGREES = 40
const LETTER_PX = 6.5
/** How many letters of a legend fit in a row beside its symbols. */
const LEGEND_ROW_LETTERS = 85

/**
 * @param {Plot} plot
 * @returns {Promise<string>}
 */
export async function drawPlot(plot) {
  // It takes half a second to load, which a run without plots need not wait for.
  const { init } = await import('echarts')
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...SIZE })
  try {
    chart.setOption(plot.kind === 'bar' ? barOption(plot) : lineOption(plot))
    return `${chart.renderToSVGString()}\n`
  } finally {
    chart.dispose()
  }
}

/**
 * @param {Plot} plot
 * @returns {EChartsCoreOption}
 */
function lineOption(plot) {
  const { xLog, yLog, series } = plot
  const xs = valuesOf(series)
  // Of one value there is no span, and the ends that an axis makes up are no round numbers.
  const isOne = xs.length === 1
  const xAxis = isOne
    ? { type: 'category', data: xs.map((x) => Number(x).toLocaleString('en-US')) }
    : { type: xLog ? 'log' : 'value', ...(xLog && spanOf(series)) }
  return {
    ...common(plot),
    xAxis: { ...axis(plot.xName, 30), ...xAxis },
    yAxis: { ...axis(plot.yName, 50), type: yLog ? 'log' : 'value' },
    series: series.map(({ name, points, dashed }) => ({
      name,
      type: 'line',
      // A logarithm of nothing is no point.
      data: points
        .filter(([x, y]) => !(xLog && Number(x) <= 0) && !(yLog && y <= 0))
        .map(([x, y]) => [isOne ? 0 : x, y]),
      symbol: dashed ? 'none' : 'circle',
      symbolSize: points.length > 40 ? 3 : 6,
      lineStyle: { width: 2, type: dashed ? 'dashed' : 'solid' },
    })),
  }
}

/**
 * @param {Plot} plot
 * @returns {EChartsCoreOption}
 */
function barOption(plot) {
  const { yLog, series } = plot
  const categories = plot.categories ?? valuesOf(series)
  const isTurned = categories.length > LEVEL_LABELS_MAX
  const letters = Math.max(0, ...categories.map((each) => each.length))
  const turnedPx = isTurned ? Math.ceil(letters * LETTER_PX * Math.sin((TURNED_DEGREES * Math.PI) / 180)) : 0
  const axisLabel = {
    ...FONT,
    interval: plot.categories || categories.length <= NUMBERS_MAX ? 0 : 'auto',
    rotate: isTurned ? TURNED_DEGREES : 0,
  }
  return {
    ...common(plot, turnedPx),
    xAxis: { ...axis(plot.xName, 30 + turnedPx), type: 'category', data: categories, axisLabel },
    yAxis: { ...axis(plot.yName, 50), type: yLog ? 'log' : 'value' },
    series: series.map(({ name, points }) => {
      const heights = new Map(points.map(([x, y]) => [plot.categories && typeof x === 'number' ? x : String(x), y]))
      return {
        name,
        type: 'bar',
        data: categories.map((each, i) => heights.get(each) ?? heights.get(i) ?? '-'),
      }
    }),
  }
}

/**
 * @param {Plot} plot
 * @param {number} [labelsPx] - what the labels of the x axis need below their first line
 */
function common({ title, series }, labelsPx = 0) {
  const letters = series.reduce((sum, { name }) => sum + name.length + 8, 0)
  const legendRows = series.length > 1 ? Math.ceil(letters / LEGEND_ROW_LETTERS) : 0
  return {
    animation: false,
    color: COLORS,
    backgroundColor: '#fff',
    textStyle: FONT,
    title: {
      text: title,
      left: 'center',
      top: 10,
      textStyle: { ...FONT, fontSize: 15, fontWeight: 'normal' },
    },
    ...(legendRows > 0 && {
      legend: {
        itemWidth: 36,
        itemHeight: 10,
        itemGap: 16,
        bottom: 6,
        left: 'center',
        width: SIZE.width - 60,
        textStyle: FONT,
      },
    }),
    grid: { left: 75, right: 40, top: 50, bottom: 55 + labelsPx + legendRows * LEGEND_ROW_PX },
  }
}

/**
 * @param {string | undefined} name
 * @param {number} gap
 */
function axis(name, gap) {
  return { name, nameLocation: 'middle', nameGap: gap, nameTextStyle: FONT, axisLabel: FONT }
}

/**
 * A logarithmic axis reaches over whole powers of ten unless it is told to end where the points do.
 * @param {readonly Series[]} series
 */
function spanOf(series) {
  const xs = series.flatMap(({ points }) => points.map(([x]) => Number(x))).filter((x) => x > 0)
  return xs.length > 0 ? { min: Math.min(...xs), max: Math.max(...xs) } : {}
}

/**
 * Numbers in their order, words in the order in which they come.
 * @param {readonly Series[]} series
 */
function valuesOf(series) {
  const values = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))]
  if (values.every((value) => typeof value === 'number')) values.sort((a, b) => Number(a) - Number(b))
  return values.map(String)
}
