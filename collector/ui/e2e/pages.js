export const PAGE_STORIES = {};
