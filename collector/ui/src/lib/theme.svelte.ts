// Light, dark, or as the system says; public/theme.js applies the choice before the first paint.

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'flowgauge.theme';

function stored(): Theme {
  const chosen = document.documentElement.dataset.theme;
  return chosen === 'light' || chosen === 'dark' ? chosen : 'system';
}

class ThemeChoice {
  chosen = $state<Theme>(stored());

  choose(theme: Theme): void {
    this.chosen = theme;
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      if (theme === 'system') localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
  }

  /** system -> light -> dark -> system. */
  next(): void {
    this.choose(this.chosen === 'system' ? 'light' : this.chosen === 'light' ? 'dark' : 'system');
  }
}

export const theme = new ThemeChoice();
