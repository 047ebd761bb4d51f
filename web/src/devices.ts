// The microphones and loudspeakers that the browser tells of. It tells their names only after the
// microphone was allowed once; those without a name are left out, as nobody could choose among them.

import type { Device, Devices } from './state.ts';

export async function listDevices(): Promise<Pick<Devices, 'microphones' | 'speakers'>> {
  try {
    return sort(await navigator.mediaDevices.enumerateDevices());
  } catch {
    return { microphones: [], speakers: [] }; // no secure context, or forbidden
  }
}

/** By kind; without the entries that only stand for the system's choice, which the page offers itself. */
export function sort(
  found: readonly Pick<MediaDeviceInfo, 'kind' | 'deviceId' | 'label'>[],
): Pick<Devices, 'microphones' | 'speakers'> {
  const of = (kind: MediaDeviceKind): readonly Device[] =>
    found
      .filter((d) => d.kind === kind && d.label !== '' && d.deviceId !== 'default' && d.deviceId !== 'communications')
      .map((d) => ({ id: d.deviceId, label: d.label }));
  return { microphones: of('audioinput'), speakers: of('audiooutput') };
}
