// QParams: how integers stand for reals: value = (integer - zero_point) * scale.
#pragma once

namespace fxq {

struct QParams {
  float scale = 1.0F;
  int zero_point = 0;
  friend bool operator==(const QParams& a, const QParams& b) {
    return a.scale == b.scale && a.zero_point == b.zero_point;
  }
  friend bool operator!=(const QParams& a, const QParams& b) { return !(a == b); }
};

}  // namespace fxq
