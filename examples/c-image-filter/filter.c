// Image filters in C: pixels are 4 bytes, red, green, blue, alpha.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct Image {
  uint32_t width, height;
  uint8_t *pixels;
};

struct Histogram {
  uint32_t counts[8];
  float mean;
};

void grayscale(struct Image *image) {
  uint8_t *pixel = image->pixels;
  for (uint32_t i = 0; i < image->width * image->height; i++, pixel += 4) {
    uint8_t gray = (uint8_t)((pixel[0] * 77 + pixel[1] * 151 + pixel[2] * 28) >> 8);
    pixel[0] = pixel[1] = pixel[2] = gray;
  }
}

// Returns 0 when there is no memory for a second image.
int blur(struct Image *image, int radius) {
  int width = (int)image->width, height = (int)image->height;
  size_t size = (size_t)width * height * 4;
  uint8_t *source = malloc(size);
  if (!source) return 0;
  memcpy(source, image->pixels, size);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      uint32_t sums[4] = {0}, count = 0;
      for (int v = y - radius; v <= y + radius; v++) {
        for (int u = x - radius; u <= x + radius; u++) {
          if (u < 0 || v < 0 || u >= width || v >= height) continue;
          for (int c = 0; c < 4; c++) sums[c] += source[(v * width + u) * 4 + c];
          count++;
        }
      }
      for (int c = 0; c < 4; c++) image->pixels[(y * width + x) * 4 + c] = (uint8_t)(sums[c] / count);
    }
  }
  free(source);
  return 1;
}

void histogram(const struct Image *image, struct Histogram *result) {
  memset(result, 0, sizeof *result);
  uint32_t total = image->width * image->height;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < total; i++) {
    uint8_t red = image->pixels[i * 4];
    result->counts[red / 32]++;
    sum += red;
  }
  result->mean = total ? (float)sum / (float)total : 0;
}
