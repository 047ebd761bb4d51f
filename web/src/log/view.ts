// The log: past turns as a chart of their latency by stage, and as a table that says the same to those who
// do not see it. New turns come in as they end.

import { announce, button, draw, get, make } from '../dom.ts';
import { ask, isGood, isRecord } from '../api.ts';
import type { Events } from '../events.ts';
import { duration, inWords, stageLabel } from '../latency.ts';
import type { Visited } from '../views.ts';
import { chartOf } from './chart.ts';
import { KEPT, type PastTurn, quantile, readPastTurn, readTurns, stageNames, withTurn } from './turns.ts';

const HEIGHT = 180;

export class LogView implements Visited {
  private turns: readonly PastTurn[] = [];
  private words = false;
  private loaded = false;
  private trouble: string | undefined;
  private width = 0;
  private readonly figure = get('log-figure', HTMLElement);
  private readonly table = get('log-table', HTMLElement);
  private readonly summary = get('log-summary', HTMLElement);
  private readonly forget = get('log-forget', HTMLButtonElement);
  private readonly sure = get('log-sure', HTMLElement);

  constructor(private readonly events: Events) {
    events.on('turn', (data) => {
      const turn = readPastTurn(data);
      if (!turn) return;
      this.turns = withTurn(this.turns, turn);
      this.show();
    });
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry?.contentRect.width ?? 0);
      if (width === this.width || width === 0) return;
      this.width = width;
      this.showChart();
    }).observe(this.figure);
    this.forget.addEventListener('click', () => this.ask(true));
    get('log-forget-yes', HTMLButtonElement).addEventListener('click', () => void this.forgetAll());
    get('log-forget-no', HTMLButtonElement).addEventListener('click', () => this.ask(false));
  }

  enter(): void {
    this.events.look('log');
    void this.load();
  }

  leave(): void {
    this.events.leave('log');
    this.ask(false, 'elsewhere');
  }

  private async load(): Promise<void> {
    const answer = await ask(`/api/turns?limit=${KEPT}`);
    this.loaded = isGood(answer);
    this.trouble = answer.problem;
    if (isGood(answer)) {
      this.words = isRecord(answer.body) && answer.body['words'] === true;
      // What came as an event meanwhile is newer than the answer.
      const newest = this.turns;
      this.turns = readTurns(answer.body);
      for (const turn of newest) if (turn.id > (this.turns[0]?.id ?? 0)) this.turns = withTurn(this.turns, turn);
    }
    this.show();
  }

  private ask(open: boolean, focus: 'here' | 'elsewhere' = 'here'): void {
    this.sure.hidden = !open;
    this.forget.hidden = open || this.turns.length === 0;
    if (focus === 'here') (open ? get('log-forget-no', HTMLButtonElement) : this.forget).focus();
  }

  private async forgetAll(): Promise<void> {
    const answer = await ask('/api/turns', { method: 'DELETE' });
    this.trouble = answer.problem;
    if (isGood(answer)) this.turns = [];
    this.ask(false, 'elsewhere');
    this.show();
    get('log-title', HTMLElement).focus();
    announce(isGood(answer) ? 'Forgotten.' : (answer.problem ?? ''));
  }

  private show(): void {
    const trouble = get('log-trouble', HTMLElement);
    trouble.hidden = this.trouble === undefined;
    trouble.replaceChildren(this.trouble ?? '', ' ', button('Try again', () => void this.load()));
    const empty = this.turns.length === 0;
    get('log-empty', HTMLElement).hidden = !empty || !this.loaded;
    this.figure.hidden = empty;
    this.table.hidden = empty;
    this.summary.hidden = empty;
    this.forget.hidden = empty || !this.sure.hidden;
    if (empty) return;
    this.summary.textContent = inShort(this.turns);
    this.showChart();
    this.showTable();
  }

  private showChart(): void {
    if (this.width === 0 || this.turns.length === 0) return;
    const { bars, ticks, left } = chartOf(this.turns, this.width, HEIGHT);
    const lines = ticks.flatMap(({ y, ms }) => [
      draw('line', { x1: left, x2: this.width, y1: y, y2: y, class: 'tick' }),
      draw('text', { x: left - 6, y: y + 4, 'text-anchor': 'end' }, ms === 0 ? '0' : `${ms / 1000} s`),
    ]);
    const columns = bars.map(({ turn, x, width, pieces }) =>
      draw(
        'g',
        {},
        draw('title', {}, `${when(turn)}: ${inWords(turn.latency)}`),
        ...pieces.map(({ name, y, height }) => draw('rect', { x, y, width, height, 'data-stage': name })),
      ),
    );
    const which = bars.length === 1 ? 'turn' : `${bars.length} turns`;
    const label = `Time to the answer of the last ${which}, by stage; the table below has the numbers.`;
    const picture = draw(
      'svg',
      { role: 'img', 'aria-label': label, width: this.width, height: HEIGHT, viewBox: `0 0 ${this.width} ${HEIGHT}` },
      ...lines,
      ...columns,
    );
    const names = [...new Set(bars.flatMap((bar) => bar.pieces.map((piece) => piece.name)))];
    const order = stageNames(this.turns);
    names.sort((a, b) => place(order, a) - place(order, b));
    const legend = names.map((name) =>
      make('li', {}, make('span', { class: 'swatch', 'data-stage': name }), stageLabel(name)),
    );
    this.figure.replaceChildren(picture, make('ul', { class: 'legend', 'aria-hidden': 'true' }, ...legend));
  }

  private showTable(): void {
    const stages = stageNames(this.turns);
    const rooms = new Set(this.turns.map((turn) => turn.room)).size > 1;
    const titles = [
      'When',
      ...(rooms ? ['Room'] : []),
      'Answered after',
      ...stages.map(stageLabel),
      'Remarks',
      ...(this.words ? ['You', 'Assistant'] : []),
    ];
    const head = make('thead', {}, make('tr', {}, ...titles.map((title) => make('th', { scope: 'col' }, title))));
    const rows = this.turns.map((turn) => {
      const time = new Map(turn.latency.stages.map(({ name, ms }) => [name, ms]));
      const cells = [
        ...(rooms ? [turn.room] : []),
        duration(turn.latency.totalMs),
        ...stages.map((name) => {
          const ms = time.get(name);
          return ms === undefined ? '–' : duration(ms);
        }),
        remarks(turn),
        ...(this.words ? [turn.user ?? '', turn.assistant ?? ''] : []),
      ];
      return make('tr', {}, make('th', { scope: 'row' }, when(turn)), ...cells.map((cell) => make('td', {}, cell)));
    });
    const caption = make('caption', {}, 'The turns, newest first');
    this.table.replaceChildren(make('table', {}, caption, head, make('tbody', {}, ...rows)));
  }
}

function place(order: readonly string[], name: string): number {
  const at = order.indexOf(name);
  return at < 0 ? order.length : at;
}

function when({ at, id }: PastTurn): string {
  if (at === undefined) return `Turn ${id}`;
  const time = new Date(at);
  const today = new Date().toDateString() === time.toDateString();
  return today
    ? time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
    : time.toLocaleString([], { dateStyle: 'short', timeStyle: 'short' });
}

function remarks({ spoken, interrupted }: PastTurn): string {
  return [spoken ? '' : 'typed', interrupted ? 'interrupted' : ''].filter(Boolean).join(', ');
}

/** How fast the spoken turns were. */
function inShort(turns: readonly PastTurn[]): string {
  const times = turns.filter((turn) => turn.spoken).map((turn) => turn.latency.totalMs);
  const [middle, most] = [quantile(times, 0.5), quantile(times, 0.9)];
  const all = turns.length === 1 ? '1 turn, not spoken.' : `${turns.length} turns, none of them spoken.`;
  if (middle === undefined || most === undefined) return all;
  const count = times.length === 1 ? '1 spoken turn' : `${times.length} spoken turns`;
  return `${count}: half of the answers began within ${duration(middle)}, nine of ten within ${duration(most)}.`;
}
