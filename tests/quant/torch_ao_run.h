// Debian's torch.ao beside us: a script of this folder that writes into a folder of its own.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <string>

namespace fxq::quant_test {

class TorchAoRun : public ::testing::Test {
 protected:
  // `script`: its name in tests/quant. Skips the test where no Python has torch.
  void run(const std::string& script);
  void TearDown() override;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  at::Tensor array(const std::string& name) const;  // of an .npy file

 private:
  std::string folder_;
};

}  // namespace fxq::quant_test
