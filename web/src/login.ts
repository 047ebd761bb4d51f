// The key of the server, asked for once where it has one. The page sends it and keeps nothing of it: from
// then on the browser has a cookie that scripts cannot read. Nothing else of the page knows of keys.

interface Session {
  key_needed?: boolean;
  logged_in?: boolean;
}

let open: Promise<boolean> | undefined;

/** Asks for the key where the server wants one and this browser is not logged in. True when it was right. */
export function logIn(): Promise<boolean> {
  open ??= ask().finally(() => {
    open = undefined;
  });
  return open;
}

async function ask(): Promise<boolean> {
  const { key_needed: needed, logged_in: already } = await session();
  if (!needed) return false; // also where there is no server, or one of before there were keys
  if (!already) return form();
  offerLogout();
  return false;
}

async function session(): Promise<Session> {
  try {
    const answer = await fetch('/api/session', { cache: 'no-store', signal: AbortSignal.timeout(10_000) });
    return answer.ok ? ((await answer.json()) as Session) : {};
  } catch {
    return {};
  }
}

/** Shows the form until the key was right, or the person closes it. */
function form(): Promise<boolean> {
  const dialog = element('dialog', 'login');
  const title = element('h2', '');
  title.id = 'login-title';
  title.textContent = 'The key, please';
  dialog.setAttribute('aria-labelledby', title.id);
  const form = element('form', '');
  const label = element('label', '');
  label.textContent = 'What CAAL_API_KEY says on the server';
  const key = element('input', '');
  key.type = 'password';
  key.name = 'key';
  key.autocomplete = 'current-password';
  key.required = true;
  label.append(key);
  const problem = element('p', 'problem');
  problem.setAttribute('role', 'alert');
  const send = element('button', 'main');
  send.type = 'submit';
  send.textContent = 'Log in';
  form.append(title, label, problem, send);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    let right = false;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      send.disabled = true;
      void show(key.value).then((refused) => {
        send.disabled = false;
        right = refused === undefined;
        if (right) return dialog.close();
        problem.textContent = refused ?? '';
        key.select();
      });
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (right) offerLogout();
      resolve(right);
    });
  });
}

/** Shows the key to the server; why it was refused, if so. */
async function show(key: string): Promise<string | undefined> {
  try {
    const answer = await fetch('/api/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ key }),
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.ok) return undefined;
    const said = (await answer.json().catch(() => ({}))) as { detail?: unknown };
    return typeof said.detail === 'string' ? `${said.detail}.` : `The server answered ${answer.status}.`;
  } catch {
    return 'CAAL does not answer. Is "caal serve" still running?';
  }
}

/** A button that ends the login, once, where the page has its small things. */
function offerLogout(): void {
  const place = document.querySelector('#sound .fields');
  if (!place || document.getElementById('logout')) return;
  const logout = element('button', 'plain');
  logout.id = 'logout';
  logout.type = 'button';
  logout.textContent = 'Log out';
  logout.addEventListener('click', () => {
    void fetch('/api/logout', { method: 'POST' }).finally(() => location.reload());
  });
  place.append(logout);
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, kind: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  return made;
}
