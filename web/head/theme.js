// Before the first paint: the theme that was chosen here, so that a dark room stays dark. A file of its own,
// because it must not wait for the page's script; what a theme is, is in src/theme.ts.
try {
  const theme = localStorage.getItem('caal.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing.
}
