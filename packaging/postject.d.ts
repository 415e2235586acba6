/** What packaging/single.ts uses of it; the package has no types. */
declare module 'postject' {
  export function inject(
    file: string,
    section: string,
    content: Uint8Array,
    options: { readonly sentinelFuse: string },
  ): Promise<void>;
}
