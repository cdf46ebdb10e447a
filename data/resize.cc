// out[x] = sum_i k[x][i] * in[first(x) + i], with k the triangle filter around (x + 0.5) * in /
// out, support max(in / out, 1). Source: Pillow's Resample.c (precompute_coeffs,
// normalize_coeffs_8bpc).
#include "fxq/data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fxq/base/check.h"

namespace fxq {
namespace {

constexpr int kPrecision = 32 - 8 - 2;
constexpr int kHalf = 1 << (kPrecision - 1);

// For each output coordinate: where its taps begin, how many there are, their fixed-point weights.
struct Taps {
  int stride = 0;
  std::vector<int> first;
  std::vector<int> count;
  std::vector<int> weights;
};

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

Taps make_taps(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double support = std::max(scale, 1.0);
  const double inverse = 1.0 / support;
  Taps taps;
  taps.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  taps.weights.resize(static_cast<size_t>(taps.stride) * out);
  std::vector<double> row(taps.stride);
  for (int x = 0; x < out; ++x) {
    const double center = (x + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int last = std::min(in, static_cast<int>(center + support + 0.5));
    double sum = 0.0;
    for (int i = 0; i < last - first; ++i) {
      row[i] = triangle((i + first - center + 0.5) * inverse);
      sum += row[i];
    }
    for (int i = 0; i < last - first; ++i) {
      const double weight = sum == 0.0 ? row[i] : row[i] / sum;
      taps.weights[static_cast<size_t>(x) * taps.stride + i] =
          static_cast<int>(0.5 + weight * (1 << kPrecision));
    }
    taps.first.push_back(first);
    taps.count.push_back(last - first);
  }
  return taps;
}

uint8_t to_pixel(int sum) { return static_cast<uint8_t>(std::clamp(sum >> kPrecision, 0, 255)); }

Image resize_rows(const Image& image, int width) {
  const Taps taps = make_taps(image.width, width);
  const int channels = image.channels;
  Image out{image.height, width, channels, {}};
  out.pixels.resize(out.row_bytes() * out.height);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < width; ++x) {
      const uint8_t* in = image.row(y) + static_cast<size_t>(taps.first[x]) * channels;
      const int* weights = &taps.weights[static_cast<size_t>(x) * taps.stride];
      for (int c = 0; c < channels; ++c) {
        int sum = kHalf;
        for (int i = 0; i < taps.count[x]; ++i) sum += in[i * channels + c] * weights[i];
        out.row(y)[x * channels + c] = to_pixel(sum);
      }
    }
  }
  return out;
}

Image resize_columns(const Image& image, int height) {
  const Taps taps = make_taps(image.height, height);
  Image out{height, image.width, image.channels, {}};
  out.pixels.resize(out.row_bytes() * out.height);
  std::vector<int> sums(out.row_bytes());
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int i = 0; i < taps.count[y]; ++i) {
      const int weight = taps.weights[static_cast<size_t>(y) * taps.stride + i];
      const uint8_t* in = image.row(taps.first[y] + i);
      for (size_t x = 0; x < sums.size(); ++x) sums[x] += in[x] * weight;
    }
    std::transform(sums.begin(), sums.end(), out.row(y), to_pixel);
  }
  return out;
}

// Python's round(): halves go to the even neighbour. Negative where the picture is the smaller one.
int crop_offset(int size, int crop) {
  if (crop > size) return -((crop - size) / 2);
  const int margin = size - crop;
  return margin / 2 + (margin % 4 == 3 ? 1 : 0);
}

}  // namespace

Image resize_bilinear(const Image& image, int height, int width) {
  FXQ_CHECK(height > 0 && width > 0);
  if (width == image.width && height == image.height) return image;
  if (width == image.width) return resize_columns(image, height);
  if (height == image.height) return resize_rows(image, width);
  return resize_columns(resize_rows(image, width), height);
}

Image center_crop(const Image& image, int height, int width) {
  FXQ_CHECK(height > 0 && width > 0);
  Image out{height, width, image.channels, {}};
  out.pixels.resize(out.row_bytes() * height);
  const int top = crop_offset(image.height, height);
  const int left = crop_offset(image.width, width);
  const int columns = std::min(image.width, width);
  for (int y = std::max(0, -top); y < height && y + top < image.height; ++y) {
    const uint8_t* in = image.row(y + top) + std::max(0, left) * image.channels;
    std::memcpy(out.row(y) + std::max(0, -left) * image.channels, in,
                static_cast<size_t>(columns) * image.channels);
  }
  return out;
}

}  // namespace fxq
