// Each page is a chunk of its own, loaded when somebody goes there.
import type { Component } from 'svelte';

export const PAGES: Readonly<Record<string, () => Promise<{ default: Component }>>> = {
  '/': () => import('../pages/Home.svelte'),
  '/discover': () => import('../pages/Discover.svelte'),
  '/visualise': () => import('../pages/Visualise.svelte'),
  '/dns': () => import('../pages/Dns.svelte'),
  '/tcp': () => import('../pages/Tcp.svelte'),
  '/fleet': () => import('../pages/Fleet.svelte'),
  '/alerts': () => import('../pages/Alerts.svelte'),
  '/help': () => import('../pages/Help.svelte'),
};
