// The script's output is kept beside its files, and named if it fails.
#include "torch_ao_run.h"

#include <cstdlib>
#include <filesystem>

#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq::quant_test {

void TorchAoRun::run(const std::string& script) {
  if (std::system(FXQ_PYTHON " -c 'import torch.ao' > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no Python with torch";
  }
  folder_ = ::testing::TempDir() + "fxq_" + script;
  std::filesystem::create_directories(folder_);
  const std::string command = std::string(FXQ_PYTHON) + " " + FXQ_SOURCE_DIR + "/tests/quant/" +
                              script + " " + folder_ + " > " + folder_ + "/log 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << folder_ << "/log";
}

void TorchAoRun::TearDown() {
  if (!folder_.empty() && !HasFailure()) std::filesystem::remove_all(folder_);
}

at::Tensor TorchAoRun::array(const std::string& name) const {
  auto tensor = read_npy(path(name));
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? to_at_tensor(*tensor).clone() : at::Tensor();
}

}  // namespace fxq::quant_test
