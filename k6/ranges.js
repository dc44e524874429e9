// Readers of formats, who ask for parts: video players that start, play, seek and leave; viewers of
// PDF; query engines that read a Parquet file's end and then some of its columns.

import { sleep } from 'k6';
import { between, group, pick } from './lib/data.js';
import { leave, range, tail, user } from './lib/ask.js';
import { duration, number, options as make } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const films = group('video');
const papers = group('paper');
const tables = group('table');

const MIB = 1024 * 1024;

function readers(exec, share) {
  return {
    executor: 'constant-vus',
    exec,
    vus: Math.max(1, Math.round(number('USERS', 60, 24) * share)),
    duration: duration('60s', '8s'),
    gracefulStop: '30s',
  };
}

export const options = make({
  players: readers('player', 0.5),
  viewers: readers('viewer', 0.25),
  engines: readers('engine', 0.25),
});

// As browsers do it: an open range from the start, left as soon as the index is read; then pieces.
export const player = user(() => {
  const film = pick(films);
  let right = range(film, 0, 0, { name: 'player probe' });
  right = leave(film, between(5, 40), { name: 'player start' }) && right;
  for (let seek = 0; seek < 3; seek += 1) {
    let at = between(0, film.size - 3 * MIB);
    for (let piece = 0; piece < 2; piece += 1) {
      right = range(film, at, at + MIB - 1, { name: 'player piece' }) && right;
      at += MIB;
    }
    sleep(0.05);
  }
  return right;
});

// The last kilobyte has the table of objects; then pages here and there, and the first of all.
export const viewer = user(() => {
  const paper = pick(papers);
  let right = tail(paper, 1024, { name: 'viewer tail' });
  right = range(paper, 0, 1023, { name: 'viewer head' }) && right;
  for (let page = 0; page < 4; page += 1) {
    const at = between(0, paper.size - 200_000);
    right = range(paper, at, at + 199_999, { name: 'viewer page' }) && right;
  }
  return right;
});

// Eight bytes say how long the footer is, the footer where the columns are.
export const engine = user(() => {
  const table = pick(tables);
  let right = tail(table, 8, { name: 'engine length' });
  right = range(table, table.size - 65536, table.size - 1, { name: 'engine footer' }) && right;
  for (let column = 0; column < 3; column += 1) {
    const at = between(0, table.size - 2 * MIB);
    right = range(table, at, at + between(300_000, 2 * MIB) - 1, { name: 'engine column' }) && right;
  }
  return right;
});
