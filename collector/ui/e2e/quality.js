export const QUALITY = {};
