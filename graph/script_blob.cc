// {"lstm": m0, "net.0": m1}  ->  one module with submodules part_lstm, part_net_2e0, saved by
// LibTorch.
#include "fxq/graph/script_blob.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cctype>
#include <cstring>
#include <sstream>

#include "fxq/graph/opaque_module.h"

namespace fxq {
namespace {

// A path as an identifier, invertible, so that different paths stay different.
std::string part_name(const std::string& path) {
  std::string name = "part_";
  for (char c : path) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      name += c;
    } else {
      name += fmt::format("_{:02x}", static_cast<unsigned char>(c));
    }
  }
  return name;
}

std::string source_of(const ModuleSpec& spec) {
  for (const auto& [name, value] : spec.attributes) {
    if (const auto* text = value.get_if<std::string>(); text && name == "source") return *text;
  }
  return "";
}

std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

absl::StatusOr<HostTensor> to_script_blob(const ScriptParts& parts) {
  std::ostringstream stream;
  try {
    torch::jit::Module root(c10::QualifiedName("__torch__.fxq.Parts"),
                            std::make_shared<torch::jit::CompilationUnit>());
    for (const auto& [path, module] : parts) {
      const auto* opaque = dynamic_cast<const OpaqueModule*>(module.get());
      if (!opaque) return absl::InternalError("'" + path + "' is of kind opaque, but no script");
      root.register_module(part_name(path), opaque->script_module());
    }
    root.save(stream);
  } catch (const std::exception& error) {
    return absl::UnimplementedError("LibTorch cannot save the graph's TorchScript parts: " +
                                    first_line(error));
  }
  const std::string bytes = stream.str();
  HostTensor blob(DType::kU8, {static_cast<int64_t>(bytes.size())});
  std::memcpy(blob.mutable_bytes(), bytes.data(), bytes.size());
  return blob;
}

absl::StatusOr<ModuleFactory> script_factory(const HostTensor& blob) {
  std::istringstream stream(
      std::string(reinterpret_cast<const char*>(blob.bytes()), blob.byte_size()));
  try {
    const torch::jit::Module root = torch::jit::load(stream);
    return ModuleFactory(
        [root](const ModuleSpec& spec) -> absl::StatusOr<std::shared_ptr<LeafModule>> {
          const std::string name = part_name(spec.path);
          if (!root.hasattr(name)) {
            return absl::InvalidArgumentError("the file's TorchScript parts lack '" + spec.path +
                                              "'");
          }
          return std::make_shared<OpaqueModule>(root.attr(name).toModule(), spec.class_name,
                                                source_of(spec));
        });
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError("LibTorch cannot read the file's TorchScript parts: " +
                                      first_line(error));
  }
}

}  // namespace fxq
