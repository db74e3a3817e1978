// Sets the chosen theme before the first paint; a module script would come too late and flash.
try {
  const theme = localStorage.getItem('flowgauge.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden: the system's preference then decides.
}
