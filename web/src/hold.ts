// Push to talk: the button held by finger, mouse or keyboard, or space held anywhere on the page where
// it means nothing else. Letting go always ends it, also when the page loses the keyboard meanwhile.

/** Elements in which space has a meaning of its own. */
const OWN_SPACE = 'input, textarea, select, button, summary, a, [contenteditable]';

/** Whether a key pressed at `target` may mean "talk". */
export function meansTalk(key: string, target: { matches(selector: string): boolean } | null): boolean {
  return key === ' ' && !(target?.matches(OWN_SPACE) ?? false);
}

/** Calls `change` as the person begins and ceases to hold; `active` says whether holding counts now. */
export function watchHold(button: HTMLButtonElement, active: () => boolean, change: (held: boolean) => void): void {
  let held = false;
  const set = (next: boolean) => {
    if (next === held || (next && !active())) return;
    held = next;
    change(held);
  };
  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    set(true);
  });
  for (const type of ['pointerup', 'pointercancel', 'lostpointercapture', 'blur'] as const) {
    button.addEventListener(type, () => set(false));
  }
  // A long press on a phone asks for a menu.
  button.addEventListener('contextmenu', (event) => event.preventDefault());
  document.addEventListener('keydown', (event) => {
    if (!active()) return;
    const target = event.target instanceof Element ? event.target : null;
    const onButton = target === button && (event.key === ' ' || event.key === 'Enter');
    if (!onButton && !meansTalk(event.key, target)) return;
    event.preventDefault(); // no scrolling, no click
    if (!event.repeat) set(true);
  });
  document.addEventListener('keyup', (event) => {
    if (event.key === ' ' || event.key === 'Enter') set(false);
  });
  window.addEventListener('blur', () => set(false));
  document.addEventListener('visibilitychange', () => document.hidden && set(false));
}
