// What Vite makes of an import that ends so: the address of the built file.
declare module '*?worker&url' {
  const address: string;
  export default address;
}
