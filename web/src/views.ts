// The page's views and which of them is shown: the address says it (`#/settings`), so that back, forward
// and links work. The conversation goes on behind all of them.

import { get, query } from './dom.ts';

export const VIEWS = ['talk', 'log', 'settings', 'setup'] as const;
export type ViewName = (typeof VIEWS)[number];

const TITLES: Readonly<Record<ViewName, string>> = {
  talk: 'CAAL',
  log: 'Log – CAAL',
  settings: 'Settings – CAAL',
  setup: 'Set up – CAAL',
};

/** What a view does when people come and go. */
export interface Visited {
  enter(): void;
  leave(): void;
}

/** The view that an address means; `undefined` where it names none. */
export function viewOf(hash: string): ViewName | undefined {
  if (hash === '#/') return 'talk';
  return VIEWS.find((view) => addressOf(view) === hash);
}

export function addressOf(view: ViewName): string {
  return view === 'talk' ? '#/' : `#/${view}`;
}

export class Views {
  private shown: ViewName | undefined;

  constructor(private readonly visited: Readonly<Partial<Record<ViewName, Visited>>>) {
    window.addEventListener('hashchange', () => this.show(viewOf(location.hash) ?? 'talk', 'focus'));
  }

  /** Goes to `view`, as if somebody had followed a link. */
  go(view: ViewName): void {
    if (addressOf(view) === location.hash) this.show(view, 'focus');
    else location.hash = addressOf(view);
  }

  /** Shows what the address names, first of all `otherwise`. */
  begin(otherwise: ViewName): void {
    this.show(viewOf(location.hash) ?? otherwise, 'stay');
  }

  private show(view: ViewName, focus: 'focus' | 'stay'): void {
    if (view === this.shown) return;
    if (this.shown) this.visited[this.shown]?.leave();
    this.shown = view;
    document.documentElement.dataset['view'] = view;
    document.title = TITLES[view];
    for (const section of document.querySelectorAll<HTMLElement>('[data-view-name]')) {
      section.hidden = section.dataset['viewName'] !== view;
    }
    for (const link of query('#views', HTMLElement).querySelectorAll('a')) {
      if (link.hash === addressOf(view)) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    window.scrollTo(0, 0);
    this.visited[view]?.enter();
    // Who follows a link reads on where it leads; the talk view has its own first thing.
    if (focus === 'focus' && view !== 'talk') document.querySelector<HTMLElement>(`#${view}-title`)?.focus();
    if (focus === 'focus' && view === 'talk') get('talk', HTMLButtonElement).focus();
  }
}
