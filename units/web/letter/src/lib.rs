//! Mail as a page may show it, and mail as a form writes it: pure functions over bytes.
