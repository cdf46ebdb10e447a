// What one core can do in int8 at most: prints {"vnni": GOPS or null, "amx": GOPS or null}.
#include <cstdio>

#include "int8_peak.h"

namespace {

void print(const char* name, double gops, const char* end) {
  if (gops > 0) {
    std::printf("\"%s\": %.0f%s", name, gops, end);
  } else {
    std::printf("\"%s\": null%s", name, end);
  }
}

}  // namespace

int main() {
  std::printf("{");
  print("vnni", fxq::vnni_gops(), ", ");
  print("amx", fxq::amx_gops(), "}\n");
}
