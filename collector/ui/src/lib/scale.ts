// Scales of charts. The value axis: round steps that are multiples of 1, 2 or 5, so that labels stay short.

/** Ticks from 0 up to the first round value at or above `peak`; about `wanted` steps. */
export function valueTicks(peak: number, wanted: number): number[] {
  if (!(peak > 0)) return [0, 1];
  const rough = peak / Math.max(1, wanted);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * magnitude >= rough) ?? 10) * magnitude;
  const ticks: number[] = [];
  // Multiplied rather than summed, so that no rounding error builds up.
  for (let index = 0; index <= wanted + 2; index += 1) {
    ticks.push(index * step);
    if (index * step >= peak) break;
  }
  return ticks;
}

/** 1 rem in pixels, which changes with the width of the window. */
export function remPixels(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
}
