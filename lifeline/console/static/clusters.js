// What lies under one thumb is drawn as one: assets gathered on a grid, for each zoom when it is first seen.
const CELL_PX = 30, WORLD = 256;
export const ALONE_FROM = 18; // from this zoom on nothing is gathered

// Web Mercator, in pixels of a world of 256.
export const worldX = (lon) => ((lon + 180) / 360) * WORLD;
export const worldY = (lat) => {
  const s = Math.sin((Math.max(-85.05, Math.min(85.05, lat)) * Math.PI) / 180);
  return (0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)) * WORLD;
};

export class Clusters {
  constructor(x, y) { // Float64Arrays of world coordinates, an asset each
    this.x = x;
    this.y = y;
    this.made = new Map();
  }

  // Columns of one zoom: x, y (the middle of what it holds), count, first (an asset), of (asset → cluster).
  at(zoom) {
    const level = Math.min(ALONE_FROM, Math.max(0, Math.floor(zoom)));
    if (!this.made.has(level)) this.made.set(level, this.gather(level));
    return this.made.get(level);
  }

  gather(level) {
    const n = this.x.length, of = new Int32Array(n);
    const x = new Float64Array(n), y = new Float64Array(n), count = new Int32Array(n), first = new Int32Array(n);
    if (level >= ALONE_FROM) {
      for (let i = 0; i < n; i += 1) { of[i] = first[i] = i; count[i] = 1; }
      return { x: this.x, y: this.y, count, first, of, size: n };
    }
    const cell = CELL_PX / 2 ** level, cells = new Map();
    let size = 0;
    for (let i = 0; i < n; i += 1) {
      const key = Math.floor(this.x[i] / cell) * 67108864 + Math.floor(this.y[i] / cell);
      let c = cells.get(key);
      if (c === undefined) { c = size; cells.set(key, c); first[c] = i; size += 1; }
      of[i] = c;
      count[c] += 1;
      x[c] += (this.x[i] - x[c]) / count[c];
      y[c] += (this.y[i] - y[c]) / count[c];
    }
    return { x: x.slice(0, size), y: y.slice(0, size), count: count.slice(0, size), first: first.slice(0, size), of, size };
  }
}
