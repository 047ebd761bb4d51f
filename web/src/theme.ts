// Light, dark, or as the system has it; kept in this browser.

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'caal.theme';

/** The colours of the browser's own frame, as `--ground` in style.css. */
const GROUND = { light: '#f6f5f1', dark: '#14171c' } as const;

/** The theme in the storage's text. */
export function readTheme(text: string | null): Theme {
  return text === 'light' || text === 'dark' ? text : 'system';
}

export function loadTheme(): Theme {
  try {
    return readTheme(localStorage.getItem(KEY));
  } catch {
    return 'system';
  }
}

/** Shows the page in `theme`. */
export function showTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name=theme-color]')) {
    const own = meta.media.includes('dark') ? 'dark' : 'light';
    meta.content = GROUND[theme === 'system' ? own : theme];
  }
}

export function keepTheme(theme: Theme): void {
  showTheme(theme);
  try {
    if (theme === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing: it lasts as long as the page.
  }
}
