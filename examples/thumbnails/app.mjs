// Makes a thumbnail of each picture, as an upload handler would, with an image library compiled from Rust.
// Its objects live in the module's memory until `free()` is called. One function here forgets that.
import photon from "@silvia-odwyer/photon-node";

const { PhotonImage, SamplingFilter, resize } = photon;
const [width, height] = [320, 240];

function picture(seed) {
  return Uint8Array.from({ length: width * height * 4 }, (_, i) => (i * seed) % 256);
}

function sizeOf(pixels) {
  const image = new PhotonImage(pixels, width, height);
  const size = `${image.get_width()} x ${image.get_height()}`;
  image.free();
  return size;
}

function thumbnail(pixels) {
  const image = new PhotonImage(pixels, width, height);
  const small = resize(image, 64, 48, SamplingFilter.Nearest);
  const bytes = small.get_bytes_jpeg(80);
  small.free();
  return bytes; // and `image`?
}

let total = 0;
for (let i = 1; i <= 50; i++) {
  const pixels = picture(i);
  if (sizeOf(pixels) !== "320 x 240") throw new Error("unexpected size");
  total += thumbnail(pixels).length;
}
console.log(`50 thumbnails, ${total} bytes`);
