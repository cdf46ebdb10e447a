// Checks of options that several commands have.
#include "fxq/cli/command.h"

namespace fxq {

CLI::Validator positive_number() {
  return {[](std::string& text) {
            double value = 0;
            const bool good = CLI::detail::lexical_cast(text, value) && value > 0;
            return good ? std::string() : text + " is no number above 0";
          },
          "POSITIVE"};
}

}  // namespace fxq
