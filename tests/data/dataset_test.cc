// Batches from .npy, .npz and folders: order, limits, short last batch, faults.
#include "fxq/data/dataset.h"

#include <png.h>

#include <cmath>

#include "encode.h"
#include "fxq/data/npy.h"
#include "gmock/gmock.h"
#include "test_files.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DatasetTest : public FileTest {
 protected:
  // f32 [n, width] with the values 0, 1, 2, ...
  static HostTensor counting(int64_t n, int64_t width) {
    HostTensor tensor(DType::kF32, {n, width});
    for (int64_t i = 0; i < n * width; ++i) tensor.mutable_data<float>()[i] = static_cast<float>(i);
    return tensor;
  }

  std::string npy(std::string_view name, const HostTensor& tensor) const {
    EXPECT_TRUE(write_npy(path(name), tensor).ok());
    return path(name);
  }

  // A grey picture all of whose pixels are `value`.
  std::string picture(std::string_view name, uint8_t value, int width = 2) const {
    const std::vector<uint8_t> row(width, value);
    return write(name, encode_png({width, 1, PNG_COLOR_TYPE_GRAY}, row));
  }

  static std::string error_of(const std::vector<std::string>& files, DatasetOptions options = {}) {
    return std::string(Dataset::open(files, std::move(options)).status().message());
  }

  static DatasetOptions gray_options(int64_t batch) {
    DatasetOptions options;
    options.batch = batch;
    options.preprocess = Preprocess{};
    options.preprocess->color = ColorOrder::kGray;
    return options;
  }
};

// The next batch's only input, or an empty tensor and a failure.
HostTensor next_tensor(Dataset& dataset) {
  auto batch = dataset.next();
  EXPECT_TRUE(batch.ok()) << batch.status();
  if (!batch.ok() || !batch->has_value()) return {};
  return (*batch)->inputs[0].tensor;
}

std::vector<int64_t> batch_sizes(Dataset& dataset) {
  std::vector<int64_t> sizes;
  for (;;) {
    auto batch = dataset.next();
    EXPECT_TRUE(batch.ok()) << batch.status();
    if (!batch.ok() || !batch->has_value()) return sizes;
    sizes.push_back((*batch)->size);
  }
}

TEST_F(DatasetTest, StreamsBatchesAndKeepsTheShortLast) {
  DatasetOptions options;
  options.batch = 3;
  auto dataset = Dataset::open({npy("x.npy", counting(7, 2))}, options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->size(), 7);
  EXPECT_EQ(dataset->batch_count(), 3);
  EXPECT_THAT(batch_sizes(*dataset), ElementsAre(3, 3, 1));
  dataset->rewind();
  const auto batch = dataset->next();
  ASSERT_TRUE(batch.ok() && batch->has_value());
  EXPECT_EQ((*batch)->inputs[0].tensor.describe(), "f32[3,2]");
  EXPECT_THAT(values_of<float>((*batch)->inputs[0].tensor), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(DatasetTest, BatchesOutliveTheDataset) {
  HostTensor kept;
  {
    auto dataset = Dataset::open({npy("x.npy", counting(2, 2))}, {});
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    ASSERT_TRUE(dataset->next().ok());
    kept = next_tensor(*dataset);
  }
  EXPECT_THAT(values_of<float>(kept), ElementsAre(2, 3));
}

TEST_F(DatasetTest, LimitsSamples) {
  DatasetOptions options;
  options.batch = 4;
  options.limit = 5;
  auto dataset = Dataset::open({npy("x.npy", counting(7, 2))}, options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(batch_sizes(*dataset), ElementsAre(4, 1));
}

TEST_F(DatasetTest, OrdersInputsAsAsked) {
  DatasetOptions options;
  options.input_names = {"image", "mask"};
  const std::string x = npy("x.npy", counting(2, 3));
  const std::string m = npy("m.npy", counting(2, 1));
  for (const std::vector<std::string>& files : std::vector<std::vector<std::string>>{
           {x, m}, {"image=" + x, "mask=" + m}, {"mask=" + m, "image=" + x}, {"mask=" + m, x}}) {
    auto dataset = Dataset::open(files, options);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_THAT(dataset->input_names(), ElementsAre("image", "mask"));
    const auto batch = dataset->next();
    ASSERT_TRUE(batch.ok() && batch->has_value());
    EXPECT_EQ((*batch)->inputs[0].tensor.describe(), "f32[1,3]");
    EXPECT_EQ((*batch)->inputs[1].tensor.describe(), "f32[1,1]");
  }
}

TEST_F(DatasetTest, TakesInputsFromNpz) {
  DatasetOptions options;
  options.input_names = {"b", "a"};
  ASSERT_TRUE(write_npz(path("x.npz"), {{"a", counting(2, 3)}, {"b", counting(2, 1)}}).ok());
  ASSERT_TRUE(
      write_npz(path("p.npz"), {{"arr_0", counting(2, 1)}, {"arr_1", counting(2, 3)}}).ok());
  for (const char* file : {"x.npz", "p.npz"}) {
    auto dataset = Dataset::open({path(file)}, options);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_THAT(dataset->input_names(), ElementsAre("b", "a"));
    const auto batch = dataset->next();
    ASSERT_TRUE(batch.ok() && batch->has_value());
    EXPECT_EQ((*batch)->inputs[1].tensor.describe(), "f32[1,3]");
  }
}

TEST_F(DatasetTest, FitsOneArrayToOneInputWhateverItsName) {
  DatasetOptions options;
  options.input_names = {"input.1"};
  ASSERT_TRUE(write_npz(path("x.npz"), {{"data", counting(2, 3)}}).ok());
  EXPECT_THAT(Dataset::open({path("x.npz")}, options)->input_names(), ElementsAre("input.1"));
  EXPECT_THAT(error_of({"data=" + path("x.npz")}, options), HasSubstr("unknown input \"data\""));
}

TEST_F(DatasetTest, ListsAllProblemsOfNames) {
  DatasetOptions options;
  options.input_names = {"image", "mask", "size"};
  const std::string x = npy("x.npy", counting(2, 3));
  const std::string message = error_of({"imege=" + x, "mask=" + x, "mask=" + x}, options);
  EXPECT_THAT(message, HasSubstr("unknown input \"imege\"; did you mean \"image\"?"));
  EXPECT_THAT(message, HasSubstr("input \"mask\" comes twice"));
  EXPECT_THAT(message, HasSubstr("no data for input \"image\"; give image=path"));
  EXPECT_THAT(message, HasSubstr("no data for input \"size\""));
  EXPECT_THAT(error_of({x, x, x, x}, options), HasSubstr("one input too many"));
}

TEST_F(DatasetTest, WholeInputsNeedNotAgree) {
  DatasetOptions options;
  options.whole = true;
  auto dataset =
      Dataset::open({npy("x.npy", counting(7, 2)), npy("z.npy", counting(5, 1))}, options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->batch_count(), 1);
  const auto batch = dataset->next();
  ASSERT_TRUE(batch.ok() && batch->has_value()) << batch.status();
  EXPECT_EQ((*batch)->inputs[0].tensor.describe(), "f32[7,2]");
  EXPECT_EQ((*batch)->inputs[1].tensor.describe(), "f32[5,1]");
  EXPECT_FALSE(dataset->next()->has_value());
}

TEST_F(DatasetTest, ListsAllInputsThatDisagree) {
  const std::string message =
      error_of({"a=" + npy("x.npy", counting(7, 2)), "b=" + npy("z.npy", counting(5, 1))});
  EXPECT_THAT(message, HasSubstr("a (7 samples) from " + path("x.npy") + ": f32[7,2]"));
  EXPECT_THAT(message, HasSubstr("b (5 samples) from " + path("z.npy") + ": f32[5,1]"));
}

TEST_F(DatasetTest, ListsAllBadFiles) {
  const std::string message =
      error_of({path("none.npy"), path("x.wav"), npy("empty.npy", HostTensor(DType::kF32, {0, 3})),
                npy("scalar.npy", HostTensor(DType::kF32, {})), write("bad.npz", "PK")});
  EXPECT_THAT(message, HasSubstr("cannot open " + path("none.npy")));
  EXPECT_THAT(message, HasSubstr("x.wav: unknown kind of data (and no such file)"));
  EXPECT_THAT(message, HasSubstr("empty.npy: f32[0,3] holds no samples"));
  EXPECT_THAT(message, HasSubstr("scalar.npy: f32[] holds no samples"));
  EXPECT_THAT(message, HasSubstr("bad.npz: damaged zip archive"));
}

TEST_F(DatasetTest, ReportsAllSamplesThatAreNotFinite) {
  HostTensor tensor = counting(20, 4);
  tensor.mutable_data<float>()[4 * 3 + 2] = NAN;
  tensor.mutable_data<float>()[4 * 3 + 3] = INFINITY;
  tensor.mutable_data<float>()[4 * 9] = -INFINITY;
  tensor.mutable_data<float>()[4 * 19] = NAN;
  DatasetOptions options;
  options.batch = 2;
  options.limit = 12;
  auto dataset = Dataset::open({npy("x.npy", tensor)}, options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_TRUE(dataset->next().ok());
  const absl::Status status = dataset->next().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), path("x.npy") +
                                  ": values that are not finite; repair or remove these samples:\n"
                                  "  sample 3: 1 NaN, 1 Inf, the first at [2]\n"
                                  "  sample 9: 0 NaN, 1 Inf, the first at [0]");
}

TEST_F(DatasetTest, FindsNanInEveryFloatType) {
  const auto error = [&](const HostTensor& tensor) {
    auto dataset = Dataset::open({npy("x.npy", tensor)}, {});
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return std::string(dataset->next().status().message());
  };
  EXPECT_THAT(error(make_tensor<double>(DType::kF64, {1}, {NAN})), HasSubstr("1 NaN, 0 Inf"));
  EXPECT_THAT(error(make_tensor<uint16_t>(DType::kF16, {1, 2}, {0x7c00, 0xfe00})),
              HasSubstr("1 NaN, 1 Inf"));
  EXPECT_EQ(error(make_tensor<uint16_t>(DType::kF16, {1, 2}, {0x7bff, 0x8000})), "");
  EXPECT_EQ(error(make_tensor<int32_t>(DType::kI32, {1}, {0x7f800000})), "");
}

TEST_F(DatasetTest, ReadsFoldersInSortedOrder) {
  picture("set/b.png", 2);
  picture("set/a.png", 1);
  picture("set/sub/c.PNG", 3);
  write("set/notes.md", "no picture");
  auto dataset = Dataset::open({path("set")}, gray_options(2));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const HostTensor first = next_tensor(*dataset);
  EXPECT_EQ(first.describe(), "f32[2,1,1,2]");
  EXPECT_THAT(values_of<float>(first), ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(values_of<float>(next_tensor(*dataset)), ElementsAre(3, 3));
}

TEST_F(DatasetTest, ReadsListsInTheirOrder) {
  picture("set/b.png", 2);
  const std::string a = picture("set/a.png", 1);
  const std::string list = write("set/list.txt", "# two of them\nb.png\r\n\n  " + a + "\n");
  auto dataset = Dataset::open({"x=" + list}, gray_options(2));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(values_of<float>(next_tensor(*dataset)), ElementsAre(2, 2, 1, 1));
  EXPECT_THAT(error_of({write("set/bad.txt", "b.png\nx.png\ny.png")}, gray_options(1)),
              HasSubstr("2 of 3 files do not exist: x.png, y.png"));
}

TEST_F(DatasetTest, NamesWhatPicturesLack) {
  const std::string file = picture("set/a.png", 1);
  EXPECT_THAT(error_of({path("set")}), HasSubstr("need a preprocess block"));
  write("empty/readme.md", "");
  EXPECT_THAT(error_of({path("empty")}, gray_options(1)), HasSubstr("no .jpg, .jpeg or .png"));
  picture("set/b.png", 1, 3);
  auto sizes = Dataset::open({path("set")}, gray_options(2));
  ASSERT_TRUE(sizes.ok()) << sizes.status();
  EXPECT_THAT(std::string(sizes->next().status().message()),
              HasSubstr("b.png gives f32[1,1,3], but " + file));
  write("set/b.png", "text");
  auto broken = Dataset::open({path("set")}, gray_options(2));
  ASSERT_TRUE(broken.ok()) << broken.status();
  EXPECT_THAT(std::string(broken->next().status().message()), HasSubstr("b.png: neither"));
}

TEST_F(DatasetTest, ReadsPtThroughTheHook) {
  DatasetOptions options;
  options.input_names = {"x"};
  EXPECT_THAT(error_of({path("x.pt")}, options), HasSubstr("without LibTorch"));
  options.pt_reader = [](const std::string& file) -> absl::StatusOr<std::vector<NamedTensor>> {
    if (file.find("x.pt") == std::string::npos) return absl::DataLossError("damaged " + file);
    return std::vector<NamedTensor>{{"", counting(2, 1)}};
  };
  auto dataset = Dataset::open({path("x.pt")}, options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->size(), 2);
  EXPECT_THAT(error_of({path("y.pt")}, options), HasSubstr("damaged " + path("y.pt")));
}

TEST_F(DatasetTest, AcceptsPathsWithEqualsSigns) {
  EXPECT_TRUE(Dataset::open({npy("lr=1.npy", counting(2, 1))}, {}).ok());
}

TEST_F(DatasetTest, RefusesOddOptions) {
  DatasetOptions options;
  options.batch = 0;
  options.limit = -1;
  const std::string message = error_of({}, options);
  EXPECT_THAT(message, HasSubstr("no data files"));
  EXPECT_THAT(message, HasSubstr("batch is 0"));
  EXPECT_THAT(message, HasSubstr("limit is -1"));
}

TEST_F(DatasetTest, GathersSamplesInAnyOrder) {
  DatasetOptions options;
  options.input_names = {"a", "b"};
  const auto dataset =
      Dataset::open({npy("a.npy", counting(4, 2)), npy("b.npy", counting(4, 1))}, options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const std::vector<int64_t> samples{3, 0, 3};
  const auto inputs = dataset->gather(samples);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_EQ((*inputs)[1].name, "b");
  EXPECT_THAT((*inputs)[0].tensor.dims(), ElementsAre(3, 2));
  EXPECT_THAT((*inputs)[0].tensor.data<float>(), ElementsAre(6, 7, 0, 1, 6, 7));
  EXPECT_THAT((*inputs)[1].tensor.data<float>(), ElementsAre(3, 0, 3));
}

TEST_F(DatasetTest, GatheringNothingIsAnError) {
  const auto dataset = Dataset::open({npy("a.npy", counting(4, 2))}, {});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(std::string(dataset->gather({}).status().message()), HasSubstr("no samples"));
}

TEST_F(DatasetTest, GatheredPicturesHaveOneSize) {
  picture("a.png", 3);
  picture("b.png", 4, 5);
  const auto dataset = Dataset::open({path("")}, gray_options(1));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const std::vector<int64_t> samples{0, 1};
  EXPECT_THAT(std::string(dataset->gather(samples).status().message()),
              HasSubstr("samples 0 and 1 have different shapes"));
}

}  // namespace
}  // namespace fxq
